"""The Mongo-wire server (SecantusDB): its first user, its command, and a probe."""

import contextlib
import hashlib
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from app.errors import Unavailable
from app.local.credentials import Credentials
from app.local.failures import NotReady
from app.local.folder import write_private
from app.local.ports import Ports
from app.local.program import Program, last_line

_SERVICE: Final = "MongoDB"
_FIRST_START_SECONDS = 60
_USER_EXISTS = 51003
"""Error code 51003, "User already exists", of MongoDB's error_codes.yml (Location51003)."""


def create_mongo(*, folder: Path, ports: Ports, credentials: Credentials) -> Program:
    """The server as a program that asks every client for a password."""
    return Program(
        name="mongo",
        command=(*_command(folder, ports.mongo), "--auth"),
        directory=folder,
        listens=ports.listening("mongo"),
        probe=lambda: probe_mongo(ports.mongo, credentials),
        stop_wait=timedelta(seconds=10),
    )


def mongo_uri(port: int, credentials: Credentials) -> str:
    """How a client reaches the server.

    The server calls itself a replica set whose name a client need not know, hence the direct connection. It
    has no other members whose news a client would have to hear at once, hence it is asked now and then: a
    client that listens costs it four looks a second.
    """
    user, password = quote(credentials.mongo_user, safe=""), quote(credentials.mongo_password, safe="")
    options = "authSource=admin&directConnection=true&serverMonitoringMode=poll"
    return f"mongodb://{user}:{password}@127.0.0.1:{port}/?{options}"


def ensure_user(*, folder: Path, port: int, credentials: Credentials) -> None:
    """Make the user exist with its password, by a first start that asks nobody for one; once per data folder.

    Raises:
        NotReady: the server did not start.
        Unavailable: it refused.
    """
    marker, wanted = folder / "user", _fingerprint(credentials)
    if marker.exists() and marker.read_text(encoding="ascii") == wanted:
        return
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "first-start.log"
    with _open_server(folder, port, log) as process:
        try:
            _create_user(port, credentials, process)
        except PyMongoError as cause:
            ended = process.poll() is not None
            raise NotReady("mongo", cause=last_line(log) if ended else cause, log=log) from cause
    write_private(marker, wanted)


def probe_mongo(port: int, credentials: Credentials) -> None:
    """Return when the server answers its user and refuses everybody else.

    Raises:
        Unavailable: it does not answer, yet, or answers without a password.
    """
    try:
        with _connect(mongo_uri(port, credentials)) as client:
            client.admin.command("listDatabases", nameOnly=True)
        with _connect(f"mongodb://127.0.0.1:{port}/?directConnection=true") as client:
            client.admin.command("listDatabases", nameOnly=True)
    except OperationFailure as refused:
        if refused.code == _UNAUTHORIZED:
            return
        raise Unavailable(_SERVICE, refused) from refused
    except PyMongoError as cause:
        raise Unavailable(_SERVICE, cause) from cause
    raise Unavailable(_SERVICE, "it answers without a password")


_UNAUTHORIZED = 13
"""Error code Unauthorized of MongoDB's error_codes.yml; a wrong password is 18, AuthenticationFailed."""


def _command(folder: Path, port: int) -> tuple[str, ...]:
    """Without `--sync-on-commit` acknowledged writes are lost when the server is killed."""
    configuration = folder / "secantusd.toml"
    folder.mkdir(parents=True, exist_ok=True)
    # An empty file of our own, because the server would otherwise look for one in the user's home.
    configuration.touch()
    program = str(Path(sysconfig.get_path("scripts")) / "secantusd-py")
    where = ("--host", "127.0.0.1", "--port", str(port), "--storage-path", str(folder / "data"))
    how = ("--cache-size", "256M", "--log-level", "WARNING", "--sync-on-commit")
    return (program, "--config", str(configuration), *where, *how)


@contextlib.contextmanager
def _open_server(folder: Path, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as file:
        process = subprocess.Popen(
            _command(folder, port), cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _create_user(port: int, credentials: Credentials, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _FIRST_START_SECONDS
    facts: dict[str, Any] = {"pwd": credentials.mongo_password, "roles": [{"role": "root", "db": "admin"}]}
    with _connect(f"mongodb://127.0.0.1:{port}/?directConnection=true") as client:
        while True:
            try:
                client.admin.command("createUser", credentials.mongo_user, **facts)
            except OperationFailure as refused:
                if refused.code != _USER_EXISTS:
                    raise Unavailable(_SERVICE, refused) from refused
                client.admin.command("updateUser", credentials.mongo_user, **facts)
            except PyMongoError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                continue
            return


def _connect(uri: str) -> MongoClient[dict[str, object]]:
    return MongoClient(uri, serverSelectionTimeoutMS=1_000, connectTimeoutMS=1_000, socketTimeoutMS=10_000)


def _fingerprint(credentials: Credentials) -> str:
    return hashlib.sha256(f"{credentials.mongo_user}\0{credentials.mongo_password}".encode()).hexdigest()
