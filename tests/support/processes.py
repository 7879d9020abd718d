"""Processes of this machine as Linux shows them: who descends from whom, and who listens where."""

import contextlib
import ipaddress
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

PROC: Final = Path("/proc")

LISTENING: Final = "0A"
"""TCP_LISTEN of Linux's net/tcp_states.h, as /proc/net/tcp prints it."""

UNCONNECTED: Final = "07"
"""The same number for a UDP socket that takes what comes (TCP_CLOSE)."""


class Door(NamedTuple):
    """A socket that takes what strangers send, and the process that has it."""

    pid: int
    command: str
    protocol: str
    address: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        address = ipaddress.ip_address(self.address)
        mapped = getattr(address, "ipv4_mapped", None)
        return (mapped or address).is_loopback


def descendants(pid: int) -> set[int]:
    """Return a process and all that descend from it."""
    parents = dict(_parents())
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def command_of(pid: int) -> str:
    """Return a process's command line as `ps` shows it; empty when it is gone."""
    return _read(pid, "cmdline").replace("\0", " ").strip()


def environment_of(pid: int) -> str:
    """Return the environment that a process was started with; empty when it is gone."""
    return _read(pid, "environ")


def pids() -> list[int]:
    """Return every process that runs now."""
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def doors(of: Iterable[int]) -> list[Door]:
    """Return every socket on which one of these processes listens, TCP or UDP."""
    owners = {inode: pid for pid in of for inode in _sockets(pid)}
    return [
        Door(owners[inode], command_of(owners[inode]), protocol, address, port)
        for protocol, address, port, inode in _open_sockets()
        if inode in owners
    ]


def _parents() -> Iterator[tuple[int, int]]:
    for pid in pids():
        stat = _read(pid, "stat")
        if stat:
            yield pid, int(stat.rpartition(")")[2].split()[1])


def _read(pid: int, name: str) -> str:
    try:
        return (PROC / str(pid) / name).read_bytes().decode(errors="replace")
    except (OSError, ProcessLookupError):
        return ""


def _sockets(pid: int) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for descriptor in (PROC / str(pid) / "fd").iterdir():
            with contextlib.suppress(OSError):
                target = str(descriptor.readlink())
                if target.startswith("socket:["):
                    yield target[len("socket:[") : -1]


def _open_sockets() -> Iterator[tuple[str, str, int, str]]:
    for protocol, state in (
        ("tcp", LISTENING),
        ("tcp6", LISTENING),
        ("udp", UNCONNECTED),
        ("udp6", UNCONNECTED),
    ):
        for line in (PROC / "net" / protocol).read_text(encoding="ascii").splitlines()[1:]:
            columns = line.split()
            if columns[3] == state:
                address, _, port = columns[1].rpartition(":")
                yield protocol, _address(address), int(port, 16), columns[9]


def _address(text: str) -> str:
    """Translate the kernel's form: words of 32 bits, each in this machine's byte order (little endian)."""
    words = [bytes.fromhex(text[start : start + 8])[::-1] for start in range(0, len(text), 8)]
    return str(ipaddress.ip_address(b"".join(words)))


def end_process(process: "subprocess.Popen[bytes]") -> None:
    """Ask a process of ours to end, and end it when it does not."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
