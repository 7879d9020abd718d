"""The API as its own process, on real servers: what only shows there."""

import asyncio
import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from app.clients.mongo import open_mongo
from app.clients.storage import Storage, open_storage
from app.clients.video_outbox import VideoOutbox, video_outbox
from app.domain.documents import OURS, deleted_object, detection_object, input_object
from app.settings import Settings

pytestmark = pytest.mark.servers

SIZE = 200 << 20
MEMORY = 100 << 20
"""What an upload of any size may cost; 20 MB were measured for 2 GB."""

DELAY = 0.1
"""Seconds that a health check may take meanwhile, 99 times in a hundred; 20 ms were measured."""

HEAD = b'--bb\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
TAIL = b"\r\n--bb--\r\n"
TYPE = {"content-type": "multipart/form-data; boundary=bb"}


@dataclass
class Running:
    """The API's process and where it listens."""

    url: str
    process: subprocess.Popen[bytes]

    @property
    def memory(self) -> int:
        """Bytes of memory that it has now."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise LookupError(self.process.pid)


@pytest.fixture(scope="module")
def running(servers: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = os.environ | {
        "MONGO_URI": servers.mongo_uri.get_secret_value(),
        "RUNNER_MONGO_URI": servers.mongo_uri.get_secret_value(),
        "MINIO_ENDPOINT": servers.minio_endpoint,
        "MINIO_ACCESS_KEY": servers.minio_access_key,
        "MINIO_SECRET_KEY": servers.minio_secret_key.get_secret_value(),
        "OUTBOX_URL": "http://127.0.0.1:1",
    }
    log = tmp_path_factory.mktemp("api") / "log"
    command = [sys.executable, "-m", "uvicorn", "api.main:api", "--port", str(port)]
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
        found = Running(f"http://127.0.0.1:{port}", process)
        try:
            _wait_ready(found)
            yield found
        finally:
            process.terminate()
            process.wait(20)
    text = log.read_text(encoding="utf-8")
    assert "ERROR" not in text, text
    assert "CRITICAL" not in text, text


def _wait_ready(running: Running) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{running.url}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            assert running.process.poll() is None, "the API ended"
    pytest.fail("the API is not ready after 60 s")


@pytest.fixture
async def storage(servers: Settings) -> AsyncIterator[Storage]:
    async with open_storage(servers) as opened:
        yield opened


@pytest.fixture
async def outbox(servers: Settings) -> AsyncIterator[VideoOutbox]:
    async with open_mongo(servers.mongo_uri) as mongo:
        yield video_outbox(mongo, servers)


@pytest.fixture
async def client(running: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=running.url, timeout=60) as opened:
        yield opened


async def generated(size: int, *, piece: int = 1 << 20) -> AsyncIterator[bytes]:
    """Pieces of a form with a file of `size` bytes, each piece another."""
    yield HEAD
    for start in range(0, size, piece):
        yield (start // piece).to_bytes(8, "big") * (min(piece, size - start) // 8)
    yield TAIL


async def test_a_large_upload_costs_little_memory_and_delays_no_health_check(
    running: Running, client: httpx.AsyncClient, storage: Storage
) -> None:
    before = highest = running.memory
    delays = []
    upload = asyncio.create_task(client.post("/api/upload_video", content=generated(SIZE), headers=TYPE))
    while not upload.done():
        begun = time.perf_counter()
        assert (await client.get("/api/health")).status_code == 200
        delays.append(time.perf_counter() - begun)
        highest = max(highest, running.memory)
    answer = await upload
    assert answer.status_code == 200
    facts = await storage.stat("videos", input_object(answer.json()["event_id"]))
    assert facts is not None
    assert facts.size == SIZE
    assert highest - before < MEMORY
    assert sorted(delays)[int(len(delays) * 0.99)] < DELAY


async def test_an_upload_arrives_as_it_was_sent(client: httpx.AsyncClient, storage: Storage) -> None:
    size = 20 << 20
    answer = await client.post("/api/upload_video", content=generated(size), headers=TYPE)
    wanted = hashlib.sha256()
    async for piece in generated(size):
        if piece not in (HEAD, TAIL):
            wanted.update(piece)
    found = hashlib.sha256()
    name = input_object(answer.json()["event_id"])
    async with storage.stream("videos", name) as (facts, chunks):
        assert facts.metadata["kadr-upload"] == "1"
        async for chunk in chunks:
            found.update(chunk)
    assert found.hexdigest() == wanted.hexdigest()


async def test_a_client_that_hangs_up_leaves_nothing(running: Running, storage: Storage) -> None:
    before = {item.name async for item in storage.names("videos", "input/")}
    reader, writer = await asyncio.open_connection("127.0.0.1", int(running.url.rsplit(":", 1)[1]))
    size = 1 << 30
    head = f"POST /api/upload_video HTTP/1.1\r\nHost: x\r\nContent-Type: {TYPE['content-type']}\r\n"
    writer.write(f"{head}Content-Length: {size}\r\n\r\n".encode() + HEAD)
    for _ in range(40):
        writer.write(bytes(1 << 20))
        await writer.drain()
    writer.transport.abort()
    del reader
    deadline = time.monotonic() + 30
    while await storage._s3.unfinished_uploads("videos", "input/"):
        assert time.monotonic() < deadline, "parts are left"
    assert {item.name async for item in storage.names("videos", "input/")} == before


async def test_a_result_is_streamed_and_seen_in_the_list_by_itself(
    client: httpx.AsyncClient, storage: Storage, outbox: VideoOutbox
) -> None:
    answer = await client.post("/api/upload_video", content=generated(1000), headers=TYPE)
    video_id = answer.json()["event_id"]
    assert (await client.get(f"/api/result_video/{video_id}")).json()["status"] == "new"
    while some := await outbox.claims.take():
        for claimed in some:
            await outbox.claims.mark_sent(claimed)
    assert (await client.get(f"/api/result_video/{video_id}")).json()["status"] == "sent"
    result = b'{"status":"ready"' + b" " * (12 << 20) + b"}"
    await storage.put("videos", detection_object(video_id), result, content_type="application/json")
    deadline = time.monotonic() + 30
    while await _status(client, video_id) != "ready":
        assert time.monotonic() < deadline, "the result was not seen"
    answer = await client.get(f"/api/result_video/{video_id}")
    assert answer.content == result
    assert answer.headers["content-length"] == str(len(result))


async def _status(client: httpx.AsyncClient, video_id: str) -> str:
    operations: list[dict[str, str]] = (await client.get("/api/status/all")).json()["operations"]
    return next(item["status_code"] for item in operations if item["video_id"] == video_id)


async def test_a_confirmed_deletion_is_forgotten_within_a_minute(
    client: httpx.AsyncClient, storage: Storage, outbox: VideoOutbox
) -> None:
    name = f"theirs-{uuid4().hex}.mp4"
    await storage.put("videos", name, b"x", content_type="video/mp4")
    asked = {"bucket": "videos", "object": name, "media_type": "video"}
    video_id = (await client.post("/api/request", json=asked)).json()["event_id"]
    assert (await client.delete("/api/cleanup/all")).json()["deleted"] >= 1
    assert (await client.get("/api/status/all")).json() == {"operations": [], "total": 0}
    assert await outbox.is_known(video_id)
    await storage.put("videos", deleted_object(video_id), b"", content_type="text/plain", metadata=OURS)
    deadline = time.monotonic() + timedelta(minutes=1).total_seconds()
    while await outbox.is_known(video_id):
        assert time.monotonic() < deadline, "it is still known"
    assert await storage.stat("videos", name) is not None
