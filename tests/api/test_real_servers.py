"""The API as its own process, on real servers: what only shows there."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from app.clients.main_db.video_outbox import VideoOutbox
from app.clients.s3.storage import Storage
from app.domain.objects import (
    OURS,
    deleted_object,
    detection_object,
    input_object,
)
from app.settings import Settings
from tests.support.api_process import ApiProcess, open_api

pytestmark = pytest.mark.servers

SIZE = 200 << 20
MEMORY = 100 << 20
"""What an upload of any size may cost; 20 MB were measured for 2 GB."""

DELAY = 0.1
"""Seconds that a health check may take meanwhile, 99 times in a hundred; 20 ms were measured."""

HEAD = b'--bb\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
TAIL = b"\r\n--bb--\r\n"
TYPE = {"content-type": "multipart/form-data; boundary=bb"}


@pytest.fixture(scope="module")
def running(servers: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with open_api(servers, tmp_path_factory.mktemp("api") / "log") as found:
        yield found


@pytest.fixture
async def client(running: ApiProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=running.url, timeout=60, trust_env=False) as opened:
        yield opened


def test_the_plain_command_serves_the_api_too(servers: Settings, tmp_path: Path) -> None:
    with open_api(servers, tmp_path / "log", is_plain=True) as api:
        form = {"file": ("a.mp4", b"x" * 1000)}
        answer = httpx.post(f"{api.url}/api/upload_video", files=form, timeout=60, trust_env=False)
        assert answer.status_code == 200
        headers = {"host": "rebound.example"}
        answer = httpx.get(f"{api.url}/api/health", headers=headers, timeout=60, trust_env=False)
        assert answer.status_code == 421


async def until_deleted(outbox: VideoOutbox, video_id: str) -> None:
    deadline = time.monotonic() + 30
    while not await outbox.is_deleted(video_id):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def test_a_process_keeps_room_and_lets_go_of_what_is_old(
    servers: Settings, tmp_path: Path, outbox: VideoOutbox
) -> None:
    video_id = str(uuid4())
    await outbox.accept(video_id=video_id, bucket="videos", object_name="a.mp4", input_owned=False)
    await outbox.set_outcome(video_id, "ready", attempt=1, at=datetime(1971, 1, 1, tzinfo=UTC))
    # Videos of other tests have ended later than that.
    given = {"RETENTION_DAYS": 20_000, "MIN_FREE_BYTES": 1 << 60, "DATA_DIR": tmp_path / "none yet"}
    with open_api(servers, tmp_path / "log", given=given) as api:
        await until_deleted(outbox, video_id)
        files = {"file": ("a.mp4", b"x")}
        async with httpx.AsyncClient(base_url=api.url, timeout=60, trust_env=False) as asked:
            answer = await asked.post("/api/upload_video", files=files)
        assert (answer.status_code, answer.json()["code"]) == (507, "insufficient_storage")
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert "videos deleted after their time" in log
    assert log.count("uploads are refused: there is no room") == 1
    await outbox.forget(video_id)


async def generated(size: int, *, piece: int = 1 << 20) -> AsyncIterator[bytes]:
    """Pieces of a form with a file of `size` bytes, each piece another."""
    yield HEAD
    for start in range(0, size, piece):
        yield (start // piece).to_bytes(8, "big") * (min(piece, size - start) // 8)
    yield TAIL


async def test_a_large_upload_costs_little_memory_and_delays_no_health_check(
    running: ApiProcess, client: httpx.AsyncClient, storage: Storage
) -> None:
    for is_last in (False, True):  # others may be busy: one of the two has to be quick
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
        p99 = sorted(delays)[int(len(delays) * 0.99)]
        if p99 < DELAY:
            break
        assert not is_last, f"p99 {p99:.3f} s, twice"


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


async def test_a_client_that_hangs_up_leaves_nothing(running: ApiProcess, storage: Storage) -> None:
    before = {item.name async for item in storage.names("videos", "input/")}
    begun = set(await storage._s3.unfinished_uploads("videos", "input/"))  # by tests before
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    size = 1 << 30
    head = f"POST /api/upload_video HTTP/1.1\r\nHost: localhost\r\nContent-Type: {TYPE['content-type']}\r\n"
    writer.write(f"{head}Content-Length: {size}\r\n\r\n".encode() + HEAD)
    for _ in range(40):
        writer.write(bytes(1 << 20))
        await writer.drain()
    writer.transport.abort()
    del reader
    deadline = time.monotonic() + 30
    while set(await storage._s3.unfinished_uploads("videos", "input/")) - begun:
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
