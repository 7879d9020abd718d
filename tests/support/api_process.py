"""The API as its own process, started as everywhere else, and what it leaves in S3 and Mongo."""

import asyncio
import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from app.clients.main_db.video_outbox import video_outbox
from app.clients.mongo import open_mongo
from app.clients.s3.storage import open_storage
from app.domain.objects import (
    INPUT_PREFIX,
)
from app.local.processes import create_api
from app.settings import Settings
from tests.support.plain_http import PLAIN

READY_WITHIN = 60.0
"""Seconds for a start on a busy machine; 2 s are usual."""

LOOK_EVERY = 0.05
"""Seconds; who asks all the time takes one of two cores from what is starting."""


@dataclass
class ApiProcess:
    """The API's process and where it listens."""

    port: int
    process: subprocess.Popen[bytes]
    servers: Settings
    log: Path

    @property
    def url(self) -> str:
        """Where it is asked."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def memory(self) -> int:
        """Bytes of memory that it has now."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise LookupError(self.process.pid)


@dataclass(frozen=True)
class Kept:
    """What is kept of uploads: objects, parts of objects that never came to an end, and documents."""

    objects: frozenset[str]
    unfinished: frozenset[str]
    documents: int


@contextlib.contextmanager
def open_api(
    servers: Settings,
    log: Path,
    *,
    host: str = "127.0.0.1",
    open_files: int | None = None,
    is_plain: bool = False,
    given: Mapping[str, object] | None = None,
) -> Iterator[ApiProcess]:
    """Yield the API on real servers; its log has no errors at the end.

    Args:
        servers: lead to them.
        log: a file for what it writes.
        host: the address that it listens on.
        open_files: how many files it may have open; as many as this process when not said.
        is_plain: without the flags that the local stack and Compose give it.
        given: settings beside, by the names of the environment.
    """
    with socket.create_server((host, 0)) as free:
        port = free.getsockname()[1]
    environment = os.environ | {
        "MONGO_URI": servers.mongo_uri.get_secret_value(),
        "RUNNER_MONGO_URI": servers.mongo_uri.get_secret_value(),
        "MINIO_ENDPOINT": servers.minio_endpoint,
        "MINIO_ACCESS_KEY": servers.minio_access_key,
        "MINIO_SECRET_KEY": servers.minio_secret_key.get_secret_value(),
        "OUTBOX_URL": "http://127.0.0.1:1",
        "RUNNER_URL": "http://127.0.0.1:1",
        **{name: str(value) for name, value in (given or {}).items()},
    }
    command = tuple(host if each == "127.0.0.1" else each for each in create_api(port).command)
    if is_plain:
        command = (command[0], "api.main:api", "--port", str(port))
    if open_files is not None:
        command = ("/bin/bash", "-c", 'ulimit -Sn "$0"; exec "$@"', str(open_files), *command)
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
        found = ApiProcess(port, process, servers, log)
        try:
            _wait_ready(found)
            yield found
        finally:
            process.terminate()
            process.wait(20)
    text = log.read_text(encoding="utf-8")
    assert "ERROR" not in text, text
    assert "CRITICAL" not in text, text


def _wait_ready(api: ApiProcess) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline:
        try:
            answer = httpx.get(f"{api.url}/health/ready", trust_env=False, verify=PLAIN)
            if answer.status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            assert api.process.poll() is None, api.log.read_text(encoding="utf-8")
        time.sleep(LOOK_EVERY)
    message = f"the API is not ready after {READY_WITHIN:.0f} s: {api.log.read_text(encoding='utf-8')}"
    raise AssertionError(message)


def kept(servers: Settings) -> Kept:
    """Look at every bucket and at Mongo."""

    async def look() -> Kept:
        objects: set[str] = set()
        unfinished: set[str] = set()
        async with open_storage(servers) as storage:
            for bucket in servers.buckets:
                objects |= {f"{bucket}/{item.name}" async for item in storage.names(bucket, INPUT_PREFIX)}
                found = await storage._s3.unfinished_uploads(bucket, "")
                unfinished |= {f"{bucket}/{each.name}" for each in found}
        async with open_mongo(servers.mongo_uri) as mongo:
            documents = await video_outbox(mongo, servers).total()
        return Kept(frozenset(objects), frozenset(unfinished), documents)

    return asyncio.run(look())


def wait_until_kept(servers: Settings, is_so: Callable[[Kept], bool], *, seconds: float = 20.0) -> Kept:
    """Return what is kept as soon as it is as it should be; fail when it is not in time."""
    deadline = time.monotonic() + seconds
    while not is_so(found := kept(servers)):
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    return found
