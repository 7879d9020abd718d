"""How this process uses the machine: one OpenCV thread, and a heap that is kept."""

import ctypes
from typing import Final

import cv2

M_TRIM_THRESHOLD: Final = -1
M_TOP_PAD: Final = -2
M_MMAP_THRESHOLD: Final = -3
"""Parameters of glibc's `mallopt(3)`, from `malloc.h`."""


def tune_process() -> None:
    """Keep freed memory, and let OpenCV work in the thread that calls it."""
    # OpenCV's own pool would compete with the model's threads for the same cores.
    cv2.setNumThreads(1)
    keep_heap()


def keep_heap() -> bool:
    """Have glibc reuse the memory of pictures instead of returning it; say whether it does.

    Each page that is returned and taken again is a page fault of about 3 µs on a virtual machine: that
    was half the time of decoding a picture of 1920 by 1080 pixels.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    wanted = {M_MMAP_THRESHOLD: 256 << 20, M_TRIM_THRESHOLD: 1 << 30, M_TOP_PAD: 64 << 20}
    accepted = [mallopt(parameter, value) for parameter, value in wanted.items()]
    return all(accepted)
