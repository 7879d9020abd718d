"""No file, no port, no signal to others: Landlock, which any process may ask of the kernel for itself."""

import ctypes
import os
import struct
from typing import Final

CREATE_RULESET: Final = 444
RESTRICT_SELF: Final = 446
"""System calls, the same on every architecture (Linux, `include/uapi/asm-generic/unistd.h`)."""

VERSION: Final = 1
"""`LANDLOCK_CREATE_RULESET_VERSION`: the call tells which version of the interface the kernel knows."""

FILE_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many rights on files each version knows, from which on (`include/uapi/linux/landlock.h`)."""

TCP: Final = 0b11
TCP_SINCE: Final = 4
"""To bind to a port and to connect to one, and the version that knows them."""

SCOPES: Final = 0b11
SCOPES_SINCE: Final = 6
"""Abstract Unix sockets and signals of processes outside, likewise."""


def rules(version: int) -> bytes:
    """Return the rules that this version of the interface knows: all is governed, nothing is allowed."""
    files = (1 << max(count for since, count in FILE_RIGHTS.items() if since <= version)) - 1
    governed = struct.pack("@Q", files)
    if version >= TCP_SINCE:
        governed += struct.pack("@Q", TCP)
    if version >= SCOPES_SINCE:
        governed += struct.pack("@Q", SCOPES)
    return governed


def forbid_files(libc: ctypes.CDLL) -> str:
    """Open nothing any more, for ever; what is open stays so.

    Args:
        libc: the C library, which keeps `errno`.

    Returns:
        why it cannot be done; nothing if it is done.
    """
    version = libc.syscall(ctypes.c_long(CREATE_RULESET), None, ctypes.c_size_t(0), ctypes.c_long(VERSION))
    if version < 1:
        return f"the kernel has no Landlock ({os.strerror(ctypes.get_errno())})"
    governed = rules(version)
    ruleset = libc.syscall(
        ctypes.c_long(CREATE_RULESET), governed, ctypes.c_size_t(len(governed)), ctypes.c_long(0)
    )
    if ruleset < 0:
        return os.strerror(ctypes.get_errno())
    try:
        failed = libc.syscall(ctypes.c_long(RESTRICT_SELF), ctypes.c_long(ruleset), ctypes.c_long(0))
        return os.strerror(ctypes.get_errno()) if failed else ""
    finally:
        os.close(ruleset)
