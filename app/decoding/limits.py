"""What a decoding child may use at most, and how long it may live."""

import ctypes
import os
import resource
import signal
import time
from pathlib import Path
from typing import Final

from app.decoding.protocol import Limits

PR_SET_PDEATHSIG: Final = 1
"""Linux, `prctl(2)`."""

M_TRIM_THRESHOLD: Final = -1
M_TOP_PAD: Final = -2
M_MMAP_THRESHOLD: Final = -3
M_ARENA_MAX: Final = -8
"""glibc, `mallopt(3)`."""

OPEN_FILES: Final = 16
"""Three pipes and one kept aside, the socket, the video, which FFmpeg opens once more; and some to spare."""


def die_with(parent: int) -> None:
    """End this process by SIGKILL when the parent ends, whatever it ends of."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the first call
        os._exit(0)


def keep_heap() -> None:
    """Let glibc keep what pictures were stored in instead of giving it back after each one.

    A page fault costs about 3 microseconds on a virtual machine: the blur of a 1080p picture falls from 6 to
    2 ms. One arena, because only the main one may hold blocks of more than 64 MB.
    """
    libc = ctypes.CDLL(None)
    for parameter, value in (
        (M_MMAP_THRESHOLD, 256 << 20),
        (M_TRIM_THRESHOLD, 1 << 30),
        (M_TOP_PAD, 64 << 20),
        (M_ARENA_MAX, 1),
    ):
        libc.mallopt(parameter, value)


def confine(limits: Limits) -> None:
    """Use no more than decoding takes.

    Not limited is how many processes there are: the kernel counts all of the same user, whoever started them.
    That a child starts none is up to the sandbox.
    """
    # Libraries map hundreds of megabytes that they never touch; the limit is on what comes on top.
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    for what, most in (
        (resource.RLIMIT_AS, mapped + limits.memory),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, limits.output),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        resource.setrlimit(what, (most, most))
    extend_processor_time(limits)


def extend_processor_time(limits: Limits) -> None:
    """Allow as much processor time from now on as both threads may use until they count as stalled.

    The kernel ends the process (SIGXCPU) even where nobody watches it.
    """
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    allowed = int(time.process_time() + 2 * limits.stall) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (allowed, most))
