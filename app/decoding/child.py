"""`python -m app.decoding.child PARENT NICENESS`: decodes the one video it is told to, then ends."""

import fcntl
import os
import sys
from contextlib import suppress
from io import BufferedReader
from typing import BinaryIO, Final, cast

import cv2
import msgspec

from app.decoding.limits import confine, die_with, keep_heap
from app.decoding.protocol import EXIT_MEMORY, Kind, Order, read_order, write_record
from app.decoding.splitting import Splitter
from app.domain.messages import Failure
from app.errors import Undecodable

PIPE_BYTES: Final = 1 << 20
"""What an unprivileged process may ask for (Linux, `/proc/sys/fs/pipe-max-size`): about eight pictures."""

BUFFER_BYTES: Final = 2 << 20
"""Room for pictures that go to the parent together."""


def main(parent: int, niceness: int) -> None:
    """Say that we are ready, wait for the order, and carry it out."""
    # A group that the parent can kill as a whole, but no session: Linux gives each session an equal share of
    # the processor (sched(7), "autogroup"), and then nobody's niceness counts outside of his own.
    os.setpgrp()
    die_with(parent)
    os.nice(niceness)
    keep_heap()
    # Two threads are all this process uses: one decodes, one works on pictures.
    cv2.setNumThreads(1)
    output = _claim_output()
    write_record(output, Kind.READY)
    orders = cast("BufferedReader", sys.stdin.buffer)
    line = orders.readline()
    if line:
        _carry_out(read_order(line), orders, output)


def _carry_out(order: Order, orders: BufferedReader, output: BinaryIO) -> None:
    confine(order.limits)
    try:
        facts = Splitter(order, orders, output).split()
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


def _claim_output() -> BinaryIO:
    """Return the pipe to the parent; whatever else is printed goes to the log."""
    output = os.fdopen(os.dup(1), "wb", buffering=BUFFER_BYTES)
    os.dup2(2, 1)
    with suppress(OSError):  # a smaller pipe is only slower
        fcntl.fcntl(output, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return output


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
