"""Which system calls a decoding child may make: an allow-list, as a filter that the kernel runs (seccomp(2)).

What decoding needs is allowed, where that matters only with harmless arguments. What only an attacker would
try ends the process; everything else fails with EPERM, so that a library that asks for more than it needs
goes on without it. Whoever adds a call runs `tests/hostile/test_sandbox.py`.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

Numbers = tuple[int | None, int | None]
"""A system call on x86_64 (Linux, `arch/x86/entry/syscalls/syscall_64.tbl`) and on aarch64
(`include/uapi/asm-generic/unistd.h`); None where there is none."""

ALLOWED: Final[dict[str, Numbers]] = {
    # Often, so looked at first.
    "futex": (202, 98),
    "read": (0, 63),
    "write": (1, 64),
    "lseek": (8, 62),
    "madvise": (28, 233),
    "munmap": (11, 215),
    "mmap": (9, 222),
    "brk": (12, 214),
    "clock_gettime": (228, 113),
    # Files that are open already.
    "pread64": (17, 67),
    "readv": (19, 65),
    "writev": (20, 66),
    "close": (3, 57),
    "dup": (32, 23),
    "fcntl": (72, 25),
    "fstat": (5, 80),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "recvmsg": (47, 212),
    # Memory.
    "mremap": (25, 216),
    "mprotect": (10, 226),
    # Threads of this process, and its own signals.
    "clone": (56, 220),
    "set_robust_list": (273, 99),
    "set_tid_address": (218, 96),
    "rseq": (334, 293),
    "membarrier": (324, 283),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "prctl": (157, 167),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "tgkill": (234, 131),
    "exit": (60, 93),
    "exit_group": (231, 94),
    # Time, chance, and who and where we are.
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "getrandom": (318, 278),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getppid": (110, 173),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "getcpu": (309, 168),
    "getrusage": (98, 165),
    "times": (100, 153),
    "sysinfo": (99, 179),
    "uname": (63, 160),
    "prlimit64": (302, 261),
    "getrlimit": (97, 163),
    "setrlimit": (160, 164),
}

DEADLY: Final[dict[str, Numbers]] = {
    # Other programs and processes.
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kill": (62, 129),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    # The network.
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    # File systems, and out of what was taken away.
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    # The parts of a kernel that holes are found in.
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
}

CLONE3: Final = 435
"""Its arguments lie in memory, where no filter can look: `not there`, so that glibc takes `clone` instead."""

NEWEST: Final = 470
"""Calls with a higher number are newer than this table. They are `not there` too: a C library that knows them
then goes the old way."""

X32: Final = 0x40000000
"""Bit in the number of a call of x86_64's 32-bit flavour, which the table does not know (`asm/unistd.h`)."""

ARCHITECTURES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""`AUDIT_ARCH_X86_64` and `AUDIT_ARCH_AARCH64` (Linux, `include/uapi/linux/audit.h`), by `uname -m`."""

SECCOMP: Final = {"x86_64": 317, "aarch64": 277}
"""The number of seccomp(2) itself."""

SET_MODE_FILTER: Final = 1
FLAG_TSYNC: Final = 1
FLAG_SPEC_ALLOW: Final = 4
"""`SECCOMP_*` of `include/uapi/linux/seccomp.h`: the filter is for all threads; before Linux 5.16 a filter
would also slow every load from memory down, against spying on secrets, of which a child has none."""

KILL: Final = 0x80000000
ALLOW: Final = 0x7FFF0000
ERRNO: Final = 0x00050000
"""`SECCOMP_RET_KILL_PROCESS`, `_ALLOW` and `_ERRNO` (the same file)."""

LOAD: Final = 0x20
EQUAL: Final = 0x15
AT_LEAST: Final = 0x35
ANY_BIT: Final = 0x45
RETURN: Final = 0x06
"""Instructions: `BPF_LD|BPF_W|BPF_ABS`, `BPF_JMP|BPF_K` with `BPF_JEQ`, `_JGE`, `_JSET`, and `BPF_RET|BPF_K`
(`include/uapi/linux/bpf_common.h`)."""

NUMBER: Final = 0
ARCHITECTURE: Final = 4
FIRST_ARGUMENT: Final = 16
"""Offsets in `struct seccomp_data`. Of an argument's 8 bytes the lower 4 come first on both architectures; no
allowed call looks at more than those of the arguments below."""

PROT_EXEC: Final = 4
CLONE_THREAD: Final = 0x00010000
AT_EMPTY_PATH: Final = 0x1000
PR_SET_NAME: Final = 15
F_DUPFD: Final = 0
F_GETFD: Final = 1
F_SETFD: Final = 2
F_GETFL: Final = 3
F_DUPFD_CLOEXEC: Final = 1030
"""`include/uapi/asm-generic/mman-common.h`, `linux/sched.h`, `linux/fcntl.h`, `linux/prctl.h`."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What one argument of a call has to be.

    Attributes:
        argument: which one, counted from 0.
        values: the values allowed, if not every one.
        has: a bit that must be set.
        lacks: a bit that must not be set.
    """

    argument: int
    values: tuple[int, ...] = ()
    has: int = 0
    lacks: int = 0

    def code(self) -> list[bytes]:
        """Return the instructions that decide about a call that this is about."""
        tests = [(EQUAL, value, 0, 1) for value in self.values]
        tests += [(ANY_BIT, self.has, 0, 1)] if self.has else []
        tests += [(ANY_BIT, self.lacks, 1, 0)] if self.lacks else []
        code = [_step(LOAD, FIRST_ARGUMENT + 8 * self.argument)]
        for test in tests:
            code += [_step(*test), _step(RETURN, ALLOW)]
        return [*code, _step(RETURN, ERRNO | errno.EPERM)]


def conditions(process: int, channel: int) -> dict[str, Condition]:
    """Return which allowed calls are allowed with some arguments only.

    Args:
        process: our own id.
        channel: the socket that the video comes through.
    """
    return {
        # Memory is never both written and run.
        "mmap": Condition(2, lacks=PROT_EXEC),
        "mprotect": Condition(2, lacks=PROT_EXEC),
        "clone": Condition(0, has=CLONE_THREAD),
        "tgkill": Condition(0, values=(process,)),
        "prlimit64": Condition(0, values=(0,)),
        "prctl": Condition(0, values=(PR_SET_NAME,)),
        # Files by their descriptor, not by a path.
        "newfstatat": Condition(3, has=AT_EMPTY_PATH),
        "statx": Condition(2, has=AT_EMPTY_PATH),
        "fcntl": Condition(1, values=(F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL)),
        "recvmsg": Condition(0, values=(channel,)),
    }


def assemble(machine: str, *, process: int, channel: int) -> bytes:
    """Return the filter for a machine (`uname -m`); the other arguments are those of `conditions`.

    Raises:
        KeyError: for this machine there is no table.
    """
    column = list(ARCHITECTURES).index(machine) if machine in ARCHITECTURES else -1
    code = [
        _step(LOAD, ARCHITECTURE),
        _step(EQUAL, ARCHITECTURES[machine], 1, 0),
        _step(RETURN, KILL),
        _step(LOAD, NUMBER),
    ]
    limited = conditions(process, channel)
    for name, numbers in ALLOWED.items():
        decide = limited[name].code() if name in limited else [_step(RETURN, ALLOW)]
        code += _rule(numbers[column], decide)
    for numbers in DEADLY.values():
        code += _rule(numbers[column], [_step(RETURN, KILL)])
    code += _rule(CLONE3, [_step(RETURN, ERRNO | errno.ENOSYS)])
    code += [_step(AT_LEAST, X32, 0, 1), _step(RETURN, KILL)]
    code += [_step(AT_LEAST, NEWEST + 1, 0, 1), _step(RETURN, ERRNO | errno.ENOSYS)]
    code += [_step(RETURN, ERRNO | errno.EPERM)]
    return b"".join(code)


def filter_calls(libc: ctypes.CDLL, channel: int) -> str:
    """Let the kernel filter the calls of this process from now on, for ever.

    Args:
        libc: the C library, which keeps `errno`.
        channel: the socket that the video comes through.

    Returns:
        why it cannot be done; nothing if it is done.
    """
    machine = os.uname().machine
    if machine not in ARCHITECTURES:
        return f"there is no table of system calls for {machine}"
    code = assemble(machine, process=os.getpid(), channel=channel)
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: how many instructions, and where.
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    given = (SECCOMP[machine], SET_MODE_FILTER, FLAG_TSYNC | FLAG_SPEC_ALLOW)
    failed = libc.syscall(*map(ctypes.c_long, given), program)
    if failed > 0:
        return f"thread {failed} could not be filtered"
    return os.strerror(ctypes.get_errno()) if failed else ""


def _rule(number: int | None, decide: list[bytes]) -> Iterable[bytes]:
    """Return the instructions that decide about one call and leave every other one alone."""
    return [] if number is None else [_step(EQUAL, number, 0, len(decide)), *decide]


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """Return one instruction (`struct sock_filter`); the jumps skip so many that follow."""
    return struct.pack("@HBBI", code, if_true, if_false, value)
