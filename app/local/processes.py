"""Kadr's own five processes as programs of the local stack."""

import http.client
import sysconfig
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

from app.errors import Unavailable
from app.local.folder import DataFolder
from app.local.ports import Listening, Ports, setting_of
from app.local.program import Program

ROLES = ("outbox", "runner", "inference", "results")
"""Each is a module of `app.roles`, a Faust app of its own."""

_THEIR_OWN: Mapping[str, str] = MappingProxyType({})

_STOP_WAIT = timedelta(seconds=20)
"""A worker finishes what it has in hand, hands its partitions over and closes its tables."""


def create_processes(
    folder: DataFolder, ports: Ports, *, modules: Mapping[str, str] = _THEIR_OWN
) -> tuple[Program, ...]:
    """The API and one worker of each role.

    Args:
        folder: where the stack keeps everything.
        ports: of them all.
        modules: where the Faust app of a role is that does not come from its own.
    """
    workers = (
        create_worker(folder, role, port=getattr(ports, role), module=modules.get(role, "")) for role in ROLES
    )
    return (create_api(ports.api), *workers)


def create_api(port: int) -> Program:
    """The HTTP door."""
    how = ("--http", "api.protocol:BoundedProtocol", "--host", "127.0.0.1", "--port", str(port))
    return Program(
        name="api",
        command=(_script("uvicorn"), "api.main:api", *how),
        listens=(Listening(port, setting_of("api")),),
        probe=lambda: probe_health(port, "/health/ready"),
        stop_wait=_STOP_WAIT,
    )


def create_worker(folder: DataFolder, role: str, *, port: int, name: str = "", module: str = "") -> Program:
    """One worker of a role; a second worker of the same role takes its own port and name.

    Args:
        folder: where the stack keeps everything.
        role: its consumer group.
        port: of its web pages.
        name: of the program; the role when not said.
        module: where its Faust app is; that of the role when not said.
    """
    name, module = name or role, module or f"app.roles.{role}"
    datadir = folder.root / "faust" / name
    folder.create_root()
    # Faust makes only the last level of its data folder.
    datadir.mkdir(parents=True, exist_ok=True)
    worker = ("worker", "-l", "info", "--web-port", str(port))
    return Program(
        name=name,
        command=(_script("faust"), "--datadir", str(datadir), "-A", module, *worker),
        listens=(Listening(port, setting_of(role)),),
        probe=lambda: probe_health(port, "/health/ready"),
        stop_wait=_STOP_WAIT,
    )


def probe_health(port: int, path: str) -> None:
    """Return when the process says that it is ready.

    Raises:
        Unavailable: it does not answer 200.
    """
    address = f"127.0.0.1:{port}{path}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read(_EXCERPT).decode(errors="replace")
    except (OSError, http.client.HTTPException) as cause:
        raise Unavailable(address, cause) from cause
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise Unavailable(address, f"{response.status} {body}")


_EXCERPT = 500
"""Characters of a health answer that are worth showing."""


def _script(name: str) -> str:
    return str(Path(sysconfig.get_path("scripts")) / name)
