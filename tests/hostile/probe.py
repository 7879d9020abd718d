"""`python -m tests.hostile.probe …`: a decoding child that tries one thing it may not, instead of decoding.

The video's id says what. It answers with the error that it got, or with what it should not have got.
"""

import ctypes
import errno
import mmap
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from app.decoding import sandbox
from app.decoding.child import main
from app.decoding.protocol import Kind, Order, read_limits, write_record
from app.decoding.seccomp import DEADLY, X32
from app.domain.messages import Failure

LIBC: Final = ctypes.CDLL(None, use_errno=True)
COLUMN: Final = 0 if os.uname().machine == "x86_64" else 1
PAGE: Final = mmap.PAGESIZE
PTRACE_ATTACH: Final = 16
NEWER_CALL: Final = 999
MEMFD_CREATE: Final = (319, 279)
CLONE3: Final = 435


def call(number: int | None, *arguments: int) -> int:
    """Make a system call by its number."""
    done = LIBC.syscall(ctypes.c_long(number or 0), *map(ctypes.c_long, arguments))
    if done < 0:
        raise OSError(ctypes.get_errno(), "")
    return int(done)


def checked(done: int) -> int:
    """Return what a function of the C library has returned, unless it failed."""
    if done < 0:
        raise OSError(ctypes.get_errno(), "")
    return done


def run_memory() -> object:
    page = mmap.mmap(-1, PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return checked(LIBC.mprotect(ctypes.c_void_p(address), PAGE, mmap.PROT_READ | mmap.PROT_EXEC))


def start_thread() -> object:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(threading.get_native_id()))
    thread.start()
    thread.join()
    return len(found)


def descriptors() -> object:
    found = []
    for number in range(256):
        try:
            os.fstat(number)
        except OSError:
            continue
        found.append(number)
    return len(found)


def connect(video: FileIO) -> object:
    port = int(os.pread(video.fileno(), 16, 0))
    with socket.socket() as connection:
        connection.settimeout(5)
        connection.connect(("127.0.0.1", port))
    return "connected"


ATTEMPTS: Final[dict[str, Callable[[FileIO], object]]] = {
    "open a file": lambda _: os.open("/etc/passwd", os.O_RDONLY),
    "open a file beside us": lambda _: os.open("..", os.O_RDONLY),
    "open the video again": lambda video: os.open(f"/proc/self/fd/{video.fileno()}", os.O_RDWR),
    "make a file": lambda _: os.open("made", os.O_CREAT | os.O_WRONLY),
    "make a temporary file": lambda _: os.open("/tmp/made-by-a-probe", os.O_CREAT | os.O_WRONLY),  # noqa: S108 - that is the attempt
    "make a file in memory": lambda _: call(MEMFD_CREATE[COLUMN], 0, 0),
    "make a folder": lambda _: Path("made").mkdir(),
    "list the root": lambda _: os.listdir("/"),  # noqa: PTH208  (the system call is meant)
    "look at a file": lambda _: os.stat("/etc/passwd"),  # noqa: PTH116  (likewise)
    "remove a file": lambda _: os.unlink("/etc/hostname-of-nobody"),  # noqa: PTH108  (likewise)
    "rename a file": lambda _: os.rename("/etc/a-of-nobody", "/etc/b-of-nobody"),  # noqa: PTH104  (likewise)
    "change a mode": lambda _: os.chmod("/etc/passwd", 0o644),  # noqa: PTH101  (likewise)
    "write into the video": lambda video: os.write(video.fileno(), b"x"),
    "shorten the video": lambda video: os.ftruncate(video.fileno(), 0),
    "fork": lambda _: os.fork(),
    "run a program": lambda _: os.execv("/bin/sh", ["sh", "-c", "exit"]),  # noqa: S606 - that is the attempt
    "run what was written": lambda _: run_memory(),
    "map memory that runs": lambda _: mmap.mmap(-1, PAGE, prot=mmap.PROT_READ | mmap.PROT_EXEC),
    "signal the parent": lambda _: os.kill(os.getppid(), 0),
    "signal everybody": lambda _: os.kill(-1, 0),
    "trace the parent": lambda _: checked(LIBC.ptrace(PTRACE_ATTACH, os.getppid(), 0, 0)),
    "limit the parent": lambda _: resource.prlimit(os.getppid(), resource.RLIMIT_CPU),
    "raise its own limits": lambda _: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)),
    "become root": lambda _: os.setresuid(0, 0, 0),
    "go first": lambda _: os.setpriority(os.PRIO_PROCESS, 0, -20),
    "open a socket": lambda _: socket.socket(),
    "open a pair of sockets": lambda _: socket.socketpair(),
    "reach the parent's machine": connect,
    "type for the terminal": lambda _: call((16, 29)[COLUMN], 2, 0x5412, 0),
    "start as clone3 does": lambda _: call(CLONE3, 0, 0),
    "call what is newer": lambda _: call(NEWER_CALL),
    "call by the other numbers": lambda _: call(X32 + 39),
    "start a thread": lambda _: start_thread(),
    "count open files": lambda _: descriptors(),
    "read the time": lambda _: 1,
    "name the environment": lambda _: sorted(os.environ),
    "say where it stands": lambda _: os.getcwd(),  # noqa: PTH109  (the system call is meant)
    "end by abort": lambda _: os.abort(),
    "end by a signal of its own": lambda _: signal.raise_signal(signal.SIGUSR1),
} | {
    f"deadly: {name}": lambda _, call_=numbers[COLUMN]: call(call_, -1, -1, -1)
    for name, numbers in DEADLY.items()
}


def attempt(order: Order, video: FileIO, _taken: BufferedReader, output: BinaryIO) -> None:
    """Try what the order says, and say what came of it."""
    try:
        got: Any = ATTEMPTS[order.job.video_id](video)
        answer = f"done: {got}"
    except OSError as error:
        answer = errno.errorcode[error.errno or 0]
    except ValueError as error:
        answer = str(error)
    write_record(output, Kind.FAILED, value=msgspec.json.encode(Failure("probed", answer)))


def probe(*, without: tuple[str, ...] = ()) -> None:
    """Enter the sandbox, leaving some steps out, and wait for an order."""
    for step in without:
        setattr(sandbox, step, lambda *_: "left out by the probe")
    parent, niceness, channel = map(int, sys.argv[1:4])
    main(parent, niceness, channel, read_limits(sys.argv[4]), work=attempt)


if __name__ == "__main__":
    probe()
