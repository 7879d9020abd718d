"""What a decoding child gives up before it knows of any video, and for ever.

Each step stands alone, because kernels and containers differ in what they allow, and says why where it
cannot be done. The parent shows that (`/health` of the runner, and one line in its log).

====================  ================================================================================
`no_new_privileges`   no program that it could start would gain any
`own_folder`          it stands in a folder of its own, which is empty and removed
`own_namespaces`      a network without any interface, and no shared memory or semaphores of others
`empty_root`          that folder is all it sees of the file system; nothing can be put into it
`no_capabilities`     it may do nothing that is a privilege, also as root
`landlock`            the kernel refuses every file, TCP port, and signal to others
`seccomp`             the kernel refuses every system call but those that decoding takes
====================  ================================================================================
"""

import ctypes
import os
import struct
from collections.abc import Collection
from typing import Final

from app.decoding.landlock import forbid_files
from app.decoding.seccomp import filter_calls

PR_SET_NO_NEW_PRIVS: Final = 38
"""Linux, `prctl(2)`."""

CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWNET: Final = 0x40000000
"""Linux, `include/uapi/linux/sched.h`."""

CAPABILITY_VERSION: Final = 0x20080522
"""`_LINUX_CAPABILITY_VERSION_3`, `include/uapi/linux/capability.h`."""

OPEN_FILES: Final = 4096
"""Descriptors up to here are closed: a fresh interpreter that was given a few has none beyond."""


def enter_sandbox(kept: Collection[int], channel: int) -> dict[str, str]:
    """Give up everything but what decoding one open file takes; there is no way back.

    Nothing can be imported any more, because no file can be opened. To be called while there is one thread.

    Args:
        kept: descriptors that stay open.
        channel: the one of them that the video comes through.

    Returns:
        each protection, and why it is not there; nothing if it is.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    _close_all_but(kept)
    os.umask(0o077)
    return {
        "no_new_privileges": _said(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)),
        "own_folder": (no_folder := _enter_own_folder()),
        "own_namespaces": _leave_namespaces(libc),
        "empty_root": no_folder or _take_folder_as_root(),
        "no_capabilities": _drop_capabilities(libc),
        "landlock": forbid_files(libc),
        "seccomp": filter_calls(libc, channel),
    }


def _close_all_but(kept: Collection[int]) -> None:
    low = 0
    for high in (*sorted(kept), OPEN_FILES):
        if low < high:  # an empty range would be everything to CPython
            os.closerange(low, high)
        low = high + 1


def _enter_own_folder() -> str:
    """Make a folder where we are, go there and remove it: so nobody has to when we were killed."""
    name = f"kadr-{os.urandom(8).hex()}"
    try:
        os.mkdir(name, 0o700)  # noqa: PTH102  (pathlib has no other way to say it)
        os.chdir(name)
        os.rmdir(f"../{name}")  # noqa: PTH106  (likewise)
    except OSError as error:
        os.chdir("/")
        return error.strerror or str(error)
    return ""


def _leave_namespaces(libc: ctypes.CDLL) -> str:
    others = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
    # Without privileges only along with a namespace of users; root may be forbidden just that one.
    why = _said(libc.unshare(CLONE_NEWUSER | others))
    return why and _said(libc.unshare(others)) and why


def _take_folder_as_root() -> str:
    try:
        os.chroot(".")
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _drop_capabilities(libc: ctypes.CDLL) -> str:
    # struct __user_cap_header_struct, and two of __user_cap_data_struct: effective, permitted, inheritable.
    return _said(libc.capset(struct.pack("@Ii", CAPABILITY_VERSION, 0), bytes(2 * 3 * 4)))


def _said(failed: int) -> str:
    return os.strerror(ctypes.get_errno()) if failed else ""
