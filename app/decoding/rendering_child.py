"""`python -m app.decoding.rendering_child PARENT NICENESS CHANNEL LIMITS`: makes something of one video.

The same sandbox as that of a child that splits; beside the video it may be given a file to write.
"""

import errno
import os
import sys
from io import FileIO
from typing import BinaryIO

import cv2
import msgspec

from app.decoding.child import give_up_everything
from app.decoding.limits import extend_processor_time
from app.decoding.protocol import (
    EXIT_MEMORY,
    Kind,
    Limits,
    read_limits,
    receive_files,
    write_record,
)
from app.decoding.rendering import render_frame, render_video
from app.decoding.rendering_orders import MOST_FILES, NO_ROOM, RenderingOrder, read_rendering_order
from app.domain.messages import Failure, VideoFacts
from app.errors import Rejected


def render(order: RenderingOrder, files: list[FileIO], output: BinaryIO) -> None:
    """Make what is wanted; the last record says how that ended."""
    try:
        facts = _render(order, files, output)
    except Rejected as error:
        failure = Failure(error.code, error.reason)
        write_record(output, Kind.FAILED, value=msgspec.json.encode(failure))
    except (MemoryError, BlockingIOError):  # EAGAIN: there is no room for a thread's stack
        os._exit(EXIT_MEMORY)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        write_record(output, Kind.FAILED, value=msgspec.json.encode(Failure(NO_ROOM, str(error))))
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            os._exit(EXIT_MEMORY)
        raise
    else:
        write_record(output, Kind.FACTS, facts.frames, value=msgspec.json.encode(facts))


def _render(order: RenderingOrder, files: list[FileIO], output: BinaryIO) -> VideoFacts:
    if order.kind == "frame":
        return render_frame(order, files[0], output)
    return render_video(order, files, output)


def main(parent: int, niceness: int, channel: int, limits: Limits) -> None:
    """Enter the sandbox and make one thing; for the arguments see `app.decoding.child`."""
    orders, output, channel_socket = give_up_everything(parent, niceness, channel, limits)
    line = orders.readline()
    if not line:
        return
    files = receive_files(channel_socket, MOST_FILES)
    channel_socket.close()
    extend_processor_time(limits)
    render(read_rendering_order(line), files, output)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), read_limits(sys.argv[4]))
