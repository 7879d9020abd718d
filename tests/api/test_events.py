"""Server-sent events: what is told, how often, to how many, and that everything is free afterwards."""

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.lifecycle import watches
from api.lifecycle.looks import Look
from api.lifecycle.watches import Watches
from app.clients.http.runner_progress import RunnerProgress
from app.clients.main_db.video_outbox import VideoOutbox
from app.clients.s3.storage import Storage
from app.domain.objects import (
    OURS,
    detection_object,
)
from app.settings import Settings
from tests.api.conftest import Door
from tests.support.api_process import ApiProcess, open_api
from tests.support.runner_stand_in import RunnerStandIn, open_runner_stand_in

WITHIN = 30.0
"""Seconds for everything here on a busy machine."""


@dataclass
class Event:
    """One event, as a browser would dispatch it."""

    name: str
    data: dict[str, Any]
    id: str
    at: float = field(default_factory=time.monotonic)


async def events_of(lines: AsyncIterator[str]) -> AsyncIterator[Event]:
    """Read a stream by the rules of HTML's server-sent events."""
    fields: dict[str, str] = {}
    async for line in lines:
        if not line and "data" in fields:
            yield Event(fields["event"], json.loads(fields["data"]), fields["id"])
        if not line:
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")


async def all_events(answer: httpx.Response) -> list[Event]:
    return [each async for each in events_of(answer.aiter_lines())]


def path(video_id: str) -> str:
    return f"/api/v1/videos/{video_id}/events"


async def test_a_video_that_has_ended_tells_so_and_ends(door: Door) -> None:
    await door.accept("a")
    await door.put("detection/a.json", b"{}")
    await door.services.outcomes.look_at_some()
    answer = await door.client.get(path("a"))
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-accel-buffering"] == "no"
    found = await all_events(answer)
    assert [each.name for each in found] == ["status", "end"]
    assert found[1].data == (await door.client.get("/api/v1/videos/a")).json()
    assert "retry: 2000" in answer.text
    assert all(each.id for each in found)
    assert (door.services.watches.listeners, door.services.watches.videos) == (0, 0)


async def test_the_openapi_document_names_the_kind_of_stream(door: Door) -> None:
    document = (await door.client.get("/openapi.json")).json()
    answers = document["paths"]["/api/v1/videos/{video_id}/events"]["get"]["responses"]
    assert list(answers["200"]["content"]) == ["text/event-stream"]
    assert {"401", "403", "404", "503"} <= set(answers)


async def test_a_video_is_followed_to_its_end(door: Door) -> None:
    await door.accept("a")
    asking = asyncio.create_task(door.client.get(path("a")))
    await until(lambda: door.services.watches.listeners == 1)
    for done in (1, 5, 9):
        before = door.runner.looks.get("a", 0)
        door.runner.progress["a"] = RunnerProgress(
            attempt=1, status="processing", stage="decoding", frames_done=done, frames_expected=60
        )
        await until(lambda known=before: door.runner.looks["a"] > known + 1)  # type: ignore[misc]
    await door.put("detection/a.json", b"{}")
    await door.services.outcomes.look_at_some()
    found = await all_events(await asking)
    names = [each.name for each in found]
    assert names[:2] == ["status", "status"], "queued, then decoding"
    assert [each.data["stage"] for each in found if each.name == "status"] == ["queued", "decoding", None]
    told = [each.data["frames_done"] for each in found if each.name == "progress"]
    assert told == [5, 9]
    assert names[-2:] == ["status", "end"]
    assert found[-1].data["status"] == "ready"


async def test_a_deleted_video_tells_so_and_ends(door: Door) -> None:
    await door.accept("a")
    asking = asyncio.create_task(door.client.get(path("a")))
    await until(lambda: door.services.watches.listeners == 1)
    await door.services.outbox.delete_one("a")
    found = await all_events(await asking)
    assert [each.name for each in found] == ["status", "deleted", "end"]
    assert found[-1].data == {"id": "a"}


async def test_a_hundred_listeners_cost_one_look_a_second(door: Door) -> None:
    await door.accept("a")
    asking = [asyncio.create_task(door.client.get(path("a"))) for _ in range(100)]
    await until(lambda: door.services.watches.listeners == 100)
    first, begun = door.runner.looks["a"], time.monotonic()
    await until(lambda: door.runner.looks["a"] >= first + 3)
    seconds = time.monotonic() - begun
    assert door.runner.looks["a"] - first <= seconds / watches.LOOK_EVERY + 1.5
    assert door.services.watches.videos == 1
    await door.services.outbox.delete_one("a")
    for each in asking:
        assert (await all_events(await each))[-1].name == "end"
    assert (door.services.watches.listeners, door.services.watches.videos) == (0, 0)


async def test_more_listeners_than_there_are_places_for_are_refused(door: Door) -> None:
    await door.accept("a")
    look = await door.services.looks.look("a")
    assert look is not None
    with contextlib.ExitStack() as opened:
        for _ in range(watches.MOST_LISTENERS):
            opened.enter_context(door.services.watches.listening(look))
        refused = await door.client.get(path("a"))
        assert (refused.status_code, refused.json()["code"]) == (503, "busy")
        assert refused.headers["retry-after"]
    door.stopping.set()
    assert (await door.client.get(path("a"))).status_code == 200


async def test_where_there_is_no_news_there_is_a_comment(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "QUIET_FOR", 0.05)
    await door.accept("a")
    asking = asyncio.create_task(door.client.get(path("a")))
    await until(lambda: door.runner.looks.get("a", 0) > 2)
    await door.services.outbox.delete_one("a")
    answer = await asking
    assert ": " in answer.text
    assert [each.name for each in await all_events(answer)] == ["status", "deleted", "end"]


async def test_while_mongo_is_away_listeners_stay(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    await door.accept("a")
    look, looks = door.services.looks.look, []

    async def counted(video_id: str) -> Look | None:
        looks.append(door.videos.is_away)
        return await look(video_id)

    asking = asyncio.create_task(door.client.get(path("a")))
    await until(lambda: door.services.watches.listeners == 1)
    monkeypatch.setattr(door.services.looks, "look", counted)
    door.set_away(mongo=True)
    await until(lambda: looks.count(True) == 2)
    assert not asking.done()
    door.set_away(mongo=False)
    await until(lambda: looks.count(False) == 1)
    await door.services.outbox.delete_one("a")
    assert [each.name for each in await all_events(await asking)] == ["status", "deleted", "end"]


async def test_a_new_attempt_is_not_told_the_end_of_the_one_before(door: Door) -> None:
    await door.accept("a")
    watched = Watches(door.services.looks, asyncio.Event())
    look = await door.services.looks.look("a")
    assert look is not None
    door.videos.documents["a"] |= {"outcome": "cancelled", "outcome_at": door.clock.now}
    ended = await door.services.looks.look("a")
    assert ended is not None
    with watched.listening(ended) as old:
        assert (await anext(old))["status"] == "cancelled"  # type: ignore[index]
        with watched.listening(look) as new:
            assert (await anext(new))["status"] == "processing"  # type: ignore[index]
    assert (watched.listeners, watched.videos) == (0, 0)


async def test_a_mistake_of_ours_ends_the_stream_and_does_not_hang_it(door: Door) -> None:
    await door.accept("a")
    look = await door.services.looks.look("a")
    assert look is not None

    class Broken:
        async def look(self, _video_id: str) -> Look:
            raise LookupError("a mistake")

    watched = Watches(Broken(), asyncio.Event())  # type: ignore[arg-type]
    with watched.listening(look) as news:
        await anext(news)
        with pytest.raises(LookupError):
            await asyncio.wait_for(anext(news), WITHIN)


async def until(is_so: Callable[[], bool]) -> None:
    """Return as soon as something is so; fail when it is not so in time."""
    async with asyncio.timeout(WITHIN):
        while not is_so():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


# As its own process


@pytest.fixture(scope="module")
def runner() -> Iterator[RunnerStandIn]:
    with open_runner_stand_in() as found:
        yield found


@pytest.fixture(scope="module")
def running(
    servers: Settings, runner: RunnerStandIn, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiProcess]:
    log = tmp_path_factory.mktemp("api") / "log"
    with open_api(servers, log, given={"RUNNER_URL": runner.url}) as found:
        yield found


@pytest.fixture
async def client(running: ApiProcess) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=running.url, timeout=WITHIN, limits=limits, trust_env=False
    ) as opened:
        yield opened


async def accept(outbox: VideoOutbox) -> str:
    """A video that an outbox worker has sent."""
    video_id = str(uuid4())
    await outbox.accept(
        video_id=video_id, bucket="videos", object_name=f"input/{video_id}.mp4", input_owned=True
    )
    (claimed,) = [each for each in await outbox.claims.take(limit=500) if each.key == video_id]
    await outbox.claims.mark_sent(claimed)
    return video_id


@pytest.mark.servers
async def test_progress_comes_once_a_second_while_a_video_moves_and_its_end_at_once(
    client: httpx.AsyncClient, runner: RunnerStandIn, outbox: VideoOutbox, storage: Storage
) -> None:
    video_id = await accept(outbox)
    runner.tell(video_id, frames_done=0, frames_expected=1000)
    begun = time.monotonic()
    found: list[Event] = []

    async def move() -> None:
        while True:
            await asyncio.sleep(0.2)
            done = int((time.monotonic() - begun) * 20)
            runner.tell(video_id, frames_done=done, frames_expected=1000, seconds_decoding=done / 20)

    moving = asyncio.create_task(move())
    async with client.stream("GET", path(video_id)) as answer:
        async for each in events_of(answer.aiter_lines()):
            found.append(each)
            if len(found) == 8:
                moving.cancel()
                runner.tell(video_id, status="ready", stage="ready", frames_done=1000, frames_total=1000)
                await storage.put(
                    "videos",
                    detection_object(video_id),
                    b"{}",
                    content_type="application/json",
                    metadata=OURS,
                )
    assert [each.name for each in found[:8]] == ["status", *["progress"] * 7]
    apart = [after.at - before.at for before, after in pairwise(found[:8])]
    assert sorted(apart)[len(apart) // 2] < 1.1, apart
    assert max(apart) < 3, apart
    for each in found[3:8]:
        left = (1000 - each.data["frames_done"]) / 20
        assert each.data["eta_seconds"] == pytest.approx(left, rel=0.3), each.data
    assert (found[-1].name, found[-1].data["status"]) == ("end", "ready")


@pytest.mark.servers
async def test_clients_that_are_gone_free_everything(
    client: httpx.AsyncClient, runner: RunnerStandIn, outbox: VideoOutbox
) -> None:
    video_id = await accept(outbox)
    runner.tell(video_id)
    for _ in range(2):  # there is no room for all of them at once
        async with contextlib.AsyncExitStack() as opened:
            for _ in range(watches.MOST_LISTENERS // 2 + 1):
                answer = await opened.enter_async_context(client.stream("GET", path(video_id)))
                assert answer.status_code == 200
    asked = -1
    async with asyncio.timeout(WITHIN):
        while asked != runner.asked[video_id]:
            asked = runner.asked[video_id]
            await asyncio.sleep(2 * watches.LOOK_EVERY)  # nobody looks any more, which takes a while to see
    async with client.stream("GET", path(video_id)) as answer:
        assert answer.status_code == 200


@pytest.mark.servers
async def test_an_api_that_is_told_to_stop_ends_its_streams_and_stops(
    servers: Settings,
    runner: RunnerStandIn,
    outbox: VideoOutbox,
    tmp_path: Any,  # noqa: ANN401 - pytest's
) -> None:
    video_id = await accept(outbox)
    runner.tell(video_id)
    for is_plain in (False, True):
        given = {"RUNNER_URL": runner.url}
        with open_api(servers, tmp_path / f"log-{is_plain}", given=given, is_plain=is_plain) as api:
            async with (
                httpx.AsyncClient(base_url=api.url, timeout=WITHIN, trust_env=False) as client,
                client.stream("GET", path(video_id)) as answer,
            ):
                events = events_of(answer.aiter_lines())
                assert (await anext(events)).name == "status"
                begun = time.monotonic()
                api.process.send_signal(signal.SIGTERM)
                rest = [each.name async for each in events]
                assert "end" not in rest, "it has not ended, and the client comes back"
            await asyncio.to_thread(api.process.wait, WITHIN)
            assert time.monotonic() - begun < timedelta(seconds=10).total_seconds()
