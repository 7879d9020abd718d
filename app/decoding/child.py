"""`python -m app.decoding.child PARENT NICENESS CHANNEL LIMITS`: decodes the one video that it is given.

Everything that is imported is imported here: in the sandbox no file can be opened any more.
"""

import fcntl
import os
import sys
from _socket import socket as Socket  # noqa: N812  (a class; see `app.decoding.protocol`)
from collections.abc import Callable
from contextlib import suppress
from io import BufferedReader, FileIO
from typing import BinaryIO, Final, TypeAlias, cast

import cv2
import msgspec

from app.decoding.limits import confine, die_with, extend_processor_time, keep_heap
from app.decoding.protocol import (
    EXIT_MEMORY,
    Kind,
    Limits,
    Order,
    read_limits,
    read_order,
    receive_video,
    write_record,
)
from app.decoding.sandbox import enter_sandbox
from app.decoding.splitting import Splitter
from app.domain.messages import Failure
from app.errors import Undecodable

PIPE_BYTES: Final = 1 << 20
"""What an unprivileged process may ask for (Linux, `/proc/sys/fs/pipe-max-size`): about eight pictures."""

BUFFER_BYTES: Final = 2 << 20
"""Room for pictures that go to the parent together."""

Work: TypeAlias = Callable[[Order, FileIO, BufferedReader, BinaryIO], None]
"""What is done with an order: the video, where the parent says what it has taken, and where records go."""


def decode(order: Order, video: FileIO, taken: BufferedReader, output: BinaryIO) -> None:
    """Write the records of a video; the last one says how it ended."""
    try:
        facts = Splitter(order, video, taken, output).split()
    except Undecodable as error:
        failure = Failure(error.code, error.reason)
        write_record(output, Kind.FAILED, value=msgspec.json.encode(failure))
    except (MemoryError, BlockingIOError):  # EAGAIN: there is no room for a thread's stack
        os._exit(EXIT_MEMORY)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            os._exit(EXIT_MEMORY)
        raise
    else:
        write_record(output, Kind.FACTS, facts.frames, value=msgspec.json.encode(facts))


def main(parent: int, niceness: int, channel: int, limits: Limits, work: Work = decode) -> None:
    """Give up everything but decoding, say that we are ready, wait for the order, and carry it out.

    Args:
        parent: the process that started us.
        niceness: added to that which we have.
        channel: a socket that the video comes through, as an open file.
        limits: what we may use.
        work: what to do with the video.
    """
    orders, output, videos = give_up_everything(parent, niceness, channel, limits)
    line = orders.readline()
    if not line:
        return
    with receive_video(videos) as video:
        videos.close()
        extend_processor_time(limits)
        work(read_order(line), video, orders, output)


def give_up_everything(
    parent: int, niceness: int, channel: int, limits: Limits
) -> tuple[BufferedReader, BinaryIO, Socket]:
    """Enter the sandbox and say that we are ready; for the arguments see `main`.

    Returns:
        where the order comes from, where records go, and the socket that files come through.
    """
    # A group that the parent can kill as a whole, but no session: Linux gives each session an equal share of
    # the processor (sched(7), "autogroup"), and then nobody's niceness counts outside of his own.
    os.setpgrp()
    die_with(parent)
    os.nice(niceness)
    keep_heap()
    # Two threads are all this process uses: one decodes, one works on pictures.
    cv2.setNumThreads(1)
    orders = cast("BufferedReader", sys.stdin.buffer)
    output = _claim_output()
    videos = Socket(fileno=channel)
    confine(limits)
    protections = enter_sandbox({0, 1, 2, output.fileno(), channel}, channel)
    write_record(output, Kind.READY, value=msgspec.json.encode(protections))
    return orders, output, videos


def _claim_output() -> BinaryIO:
    """Return the pipe to the parent; whatever else is printed goes to the log."""
    output = os.fdopen(os.dup(1), "wb", buffering=BUFFER_BYTES)
    os.dup2(2, 1)
    with suppress(OSError):  # a smaller pipe is only slower
        fcntl.fcntl(output, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return output


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), read_limits(sys.argv[4]))
