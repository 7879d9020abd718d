"""Which ports the stack takes, whether they are free, and a free set for tests."""

import contextlib
import fcntl
import os
import socket
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple, Self

from app.local.failures import NoFreePorts, PortInvalid, PortTaken

S3_BLOCK = (0, 1, 2, 3, 10_000, 10_001, 10_002, 10_003)
"""What the S3 server takes, relative to its own port: S3, master, volume and filer, then gRPC of each."""

HIGHEST_PORT = 65_535


class Listening(NamedTuple):
    """One port and the environment variable that moves it."""

    port: int
    setting: str


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Every port of one stack; each is moved by the environment variable `{NAME}_PORT`."""

    api: int = 8080
    outbox: int = 8001
    runner: int = 8002
    inference: int = 8003
    results: int = 8004
    kafka: int = 9092
    kafka_controller: int = 9093
    mongo: int = 27017
    s3: int = 9000

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """The default ports, with those that the environment sets.

        Raises:
            PortInvalid: a setting is not a port number.
        """
        found = {}
        for name in (field.name for field in fields(cls)):
            setting = setting_of(name)
            if text := environment.get(setting):
                found[name] = _parse(
                    setting, text, HIGHEST_PORT - max(S3_BLOCK) if name == "s3" else HIGHEST_PORT
                )
        return cls(**found)

    def listening(self, name: str) -> tuple[Listening, ...]:
        """The port called `name`; for `s3` the whole block."""
        port: int = getattr(self, name)
        block = S3_BLOCK if name == "s3" else (0,)
        return tuple(Listening(port + offset, setting_of(name)) for offset in block)

    def settings(self) -> dict[str, str]:
        """The environment variables that give these ports to another command."""
        return {setting_of(field.name): str(getattr(self, field.name)) for field in fields(self)}


def setting_of(name: str) -> str:
    """The environment variable that moves the port called `name`."""
    return f"{name.upper()}_PORT"


def require_free(wanted: Iterable[Listening]) -> None:
    """Return when nobody listens on any of the ports.

    Raises:
        PortTaken: the first that is taken.
    """
    for port, setting in wanted:
        if not is_free(port):
            raise PortTaken(port, setting, owner_of(port))


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Connections of a server that has just stopped linger for a minute and disturb no new server.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def owner_of(port: int) -> str:
    """Name and id of the process that listens on a port; an empty text where this user may not see it."""
    inodes = _listening_inodes(port)
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                if str(descriptor.readlink()) in inodes:
                    return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return ""


@contextlib.contextmanager
def free_ports() -> Iterator[Ports]:
    """A free set of ports, which no other test session on this machine gets until the context is left.

    Sets are numbered; a session locks a file per set. All lie below 32768, where Linux takes the ports of
    outgoing connections from, so that no client of anybody can sit on one.

    Raises:
        NoFreePorts: every set is taken.
    """
    locks = Path(tempfile.gettempdir()) / f"kadr-ports-{os.getuid()}"
    locks.mkdir(mode=0o700, exist_ok=True)
    for attempt in range(_SETS):
        number = (os.getpid() + attempt) % _SETS
        descriptor = os.open(locks / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if _take(descriptor) and (ports := _numbered(number)) is not None:
                yield ports
                return
        finally:
            os.close(descriptor)
    raise NoFreePorts(_SETS)


_SETS = 250
_FIRST_S3 = 20_000
_FIRST_OTHER = 23_000


def _numbered(number: int) -> Ports | None:
    """The set of this number, or None when somebody listens on one of its ports."""
    names = [field.name for field in fields(Ports) if field.name != "s3"]
    first = _FIRST_OTHER + 10 * number
    numbers = {name: first + offset for offset, name in enumerate(names)}
    ports = Ports(s3=_FIRST_S3 + 10 * number, **numbers)
    wanted = [listening.port for name in (*names, "s3") for listening in ports.listening(name)]
    return ports if all(map(is_free, wanted)) else None


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _parse(setting: str, text: str, highest: int) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= highest:
        raise PortInvalid(setting, text, highest)
    return int(text)


def _listening_inodes(port: int) -> set[str]:
    """How the descriptors of sockets that listen on a port are called under /proc/PID/fd."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                columns = line.split()
                if columns[3] == _LISTEN and int(columns[1].rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{columns[9]}]")
    return found


_LISTEN = "0A"
"""TCP_LISTEN of Linux's net/tcp_states.h, as /proc/net/tcp prints it."""
