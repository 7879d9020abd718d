"""Whatever server is away, and however: each call says so within three seconds and keeps its promises."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import TypeAlias

import httpx
import pytest

from api.lifecycle.sweeps import Sweeps
from app.clients.main_db.video_outbox import video_outbox
from app.clients.main_db.webhook_deliveries import webhook_deliveries
from app.clients.mongo import open_mongo
from app.clients.s3.storage import PART, open_storage
from app.domain.objects import (
    INPUT_PREFIX,
)
from models.shapes import write_clip
from tests.support.pipeline import Pipeline
from tests.support.raw_upload import PIECE, TAIL, answer_of, begun_upload, request, reset

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

PROMISED = 3.0
BUSY = 0.5
"""Seconds more for a machine on which other things run."""

BACK_WITHIN = 30.0
"""Seconds until a server that was stopped answers again: it has to be started."""

LARGE = 50 << 20

Call: TypeAlias = Callable[[httpx.Client], httpx.Response]


@dataclass(frozen=True)
class Answered:
    """What a call was answered, and after how long."""

    call: str
    status: int
    seconds: float
    problem: dict[str, object]
    retry_after: str


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("api-outages") / "clip.mp4"
    write_clip(path, seed=22, frames=50, fps=25, size=(320, 240))
    return path


@contextlib.contextmanager
def stopped(pipeline: Pipeline, server: str) -> Iterator[None]:
    """Stop a server, and start it again afterwards."""
    pipeline.stack.stop_program(server)
    try:
        yield
    finally:
        pipeline.stack.start_program(server)
        pipeline.stack.wait_ready(BACK_WITHIN, only=[server])


@contextlib.contextmanager
def frozen(pipeline: Pipeline, server: str) -> Iterator[None]:
    """Let a server hang where it is."""
    pipeline.stack.freeze_program(server)
    try:
        yield
    finally:
        pipeline.stack.thaw_program(server)


def calls(pipeline: Pipeline, video_id: str) -> dict[str, Call]:
    """Return every call that needs Mongo or S3, by a name."""
    asked = {"bucket": pipeline.settings.buckets[0], "object": f"input/{video_id}.mp4"}
    return {
        "upload": lambda api: api.post("/api/upload_video", files={"file": ("a.mp4", b"x" * 1000)}),
        "large": lambda _api: begin_large(pipeline),
        "request": lambda api: api.post("/api/request", json=asked),
        "status": lambda api: api.get("/api/status/all"),
        "result": lambda api: api.get(f"/api/result_video/{video_id}"),
        "delete": lambda api: api.delete(f"/api/v1/videos/{video_id}"),
        "cleanup": lambda api: api.delete("/api/cleanup/all"),
    }


def begin_large(pipeline: Pipeline) -> httpx.Response:
    """Begin to upload a large file and return the answer, which does not wait for its end."""
    with begun_upload(pipeline.settings.api_url, LARGE, sent=1 << 20) as connection:
        return answer_of(connection)


NEEDED = {
    "mongo": {"upload", "large", "request", "status", "result", "delete", "cleanup"},
    "s3": {"upload", "large", "request", "result"},
}
"""Which calls need which server; the others are not made, because they would succeed."""


def call_all(pipeline: Pipeline, server: str, video_id: str) -> list[Answered]:
    """Make every call that needs a server, all at once."""

    def make(name: str, call: Call) -> Answered:
        with httpx.Client(base_url=pipeline.settings.api_url, timeout=60, trust_env=False) as api:
            begun = time.monotonic()
            answer = call(api)
            seconds = time.monotonic() - begun
        problem = answer.json() if answer.headers["content-type"] == "application/problem+json" else {}
        return Answered(name, answer.status_code, seconds, problem, answer.headers.get("retry-after", ""))

    with ThreadPoolExecutor() as threads:
        wanted = {name: call for name, call in calls(pipeline, video_id).items() if name in NEEDED[server]}
        return list(threads.map(make, wanted, wanted.values()))


@pytest.mark.parametrize("away", [stopped, frozen])
@pytest.mark.parametrize("server", ["mongo", "s3"])
def test_each_call_that_needs_a_server_says_in_time_that_it_is_away_and_works_at_once_when_it_is_back(
    pipeline: Pipeline, clip: Path, server: str, away: Callable[..., contextlib.AbstractContextManager[None]]
) -> None:
    before = pipeline.submit(clip)
    assert pipeline.wait_for(before)["status"] == "ready"
    with away(pipeline, server):
        answered = call_all(pipeline, server, before)
    begun = time.monotonic()
    after = pipeline.submit(clip)
    assert time.monotonic() - begun < PROMISED
    for each in answered:
        assert each.status == httpx.codes.SERVICE_UNAVAILABLE, each
        assert each.problem["code"] == "unavailable", each
        assert int(each.retry_after) > 0, each
        assert each.seconds < PROMISED + BUSY, each
    assert [pipeline.wait_for(each)["status"] for each in (before, after)] == ["ready", "ready"]


@dataclass(frozen=True)
class Kept:
    """What a Kadr keeps of uploads: objects, parts of objects that never came to an end, and documents."""

    objects: frozenset[str]
    unfinished: frozenset[str]
    documents: int


def kept(pipeline: Pipeline) -> Kept:
    """Look at S3 and Mongo."""

    async def look() -> tuple[frozenset[str], frozenset[str]]:
        bucket = pipeline.settings.buckets[0]
        async with open_storage(pipeline.settings) as storage:
            objects = {item.name async for item in storage.names(bucket, INPUT_PREFIX)}
            parts = await storage._s3.unfinished_uploads(bucket, INPUT_PREFIX)
        return frozenset(objects), frozenset(each.name for each in parts)

    return Kept(*asyncio.run(look()), pipeline.mongo["main_db"]["outbox"].count_documents({}))


def wait_until_kept(pipeline: Pipeline, wanted: Kept) -> None:
    """Return when nothing more is kept than there was."""
    pipeline.wait_until(lambda: kept(pipeline) == wanted, seconds=20, otherwise=lambda: str(kept(pipeline)))


def is_under_way(pipeline: Pipeline) -> bool:
    """Return whether S3 holds parts of an upload that is not complete."""
    return bool(kept(pipeline).unfinished)


def sweep_a_day_later(pipeline: Pipeline) -> None:
    """Clear away what a process that was killed has left."""
    settings = pipeline.settings

    async def sweep() -> None:
        async with open_storage(settings) as storage, open_mongo(settings.mongo_uri) as mongo:
            outbox = video_outbox(mongo, settings)
            tomorrow = datetime.now(UTC) + timedelta(hours=25)
            sweeps = Sweeps(
                storage,
                outbox,
                buckets=settings.buckets,
                deliveries=webhook_deliveries(mongo),
                now=lambda: tomorrow,
            )
            await sweeps.remove_orphans()

    asyncio.run(sweep())


def test_an_upload_in_progress_ends_in_time_when_s3_begins_to_hang(pipeline: Pipeline) -> None:
    half = LARGE // 2
    before = kept(pipeline)
    with begun_upload(pipeline.settings.api_url, LARGE, sent=len(request(LARGE)) + half) as connection:
        pipeline.wait_until(lambda: is_under_way(pipeline), seconds=20)
        with ThreadPoolExecutor(1) as threads, frozen(pipeline, "s3"):
            begun = time.monotonic()
            rest = threads.submit(send_rest, connection, LARGE - half)
            answer = answer_of(connection)
            seconds = time.monotonic() - begun
            rest.result()
    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert int(answer.headers["retry-after"]) > 0
    assert seconds < PROMISED + BUSY
    wait_until_kept(pipeline, before)


def send_rest(connection: socket.socket, size: int) -> None:
    """Go on sending, as a client does that reads the answer only at the end."""
    with contextlib.suppress(OSError):  # the server may close its end after its answer
        for _ in range(size // PIECE):
            connection.sendall(bytes(PIECE))
        connection.sendall(TAIL)


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_left_of_uploads_that_are_cut_off_anywhere(pipeline: Pipeline, seed: int) -> None:
    random = Random(seed)  # noqa: S311 - repeatable, not secret
    before = kept(pipeline)
    for size in (1000, 100_000, 3 * PART):
        sent = random.randrange(1, len(request(size)) + size)
        with begun_upload(pipeline.settings.api_url, size, sent=sent) as connection:
            if random.random() < 0.5:
                reset(connection)
    wait_until_kept(pipeline, before)


def test_what_an_api_that_is_killed_leaves_of_an_upload_is_cleared_away_a_day_later(
    pipeline: Pipeline, clip: Path
) -> None:
    video_id = pipeline.submit(clip)
    before = kept(pipeline)
    with begun_upload(pipeline.settings.api_url, 3 * PART, sent=len(request(1)) + 2 * PART):
        pipeline.wait_until(lambda: is_under_way(pipeline), seconds=20)
        pipeline.stack.kill_program("api")
    pipeline.wait_until(lambda: is_answering(pipeline), seconds=30)
    assert kept(pipeline).unfinished
    sweep_a_day_later(pipeline)
    assert kept(pipeline) == before
    assert pipeline.wait_for(video_id)["status"] == "ready"


def is_answering(pipeline: Pipeline) -> bool:
    """Return whether the API answers, and can work."""
    try:
        return pipeline.api.get("/health/ready").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
