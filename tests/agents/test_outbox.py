"""A document is marked as sent only after the broker has its message, and stays otherwise."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from agents import outbox as outbox_stage
from agents.outbox import OutboxPublisher
from app.clients.main_db.video_outbox import VideoOutbox
from app.clients.main_db.video_records import Claimed
from app.errors import RetryLater, Unavailable
from app.suspects import DEATHS, Suspects
from app.topics import OUTBOX_EVENTS
from app.worker import Worker
from tests.support.clock import Clock
from tests.support.memory_mongo import MemoryDocuments
from tests.support.streams import KeptPublisher
from tests.support.workers import MemoryWorker


class Failing(KeptPublisher):
    """A publisher that fails so many times, and dies of a video.

    Attributes:
        failures: how often it fails first.
        fatal: the video of which it dies each time.
    """

    def __init__(self, failures: int = 0) -> None:
        super().__init__()
        self.failures = failures
        self.tries = 0
        self.fatal = ""
        self.has_died = asyncio.Event()

    async def publish_all(self, contract: Any, messages: Any) -> None:  # noqa: ANN401
        if any(key == self.fatal for key, _message in messages):
            self.has_died.set()
            await asyncio.Event().wait()
        self.tries += 1
        if self.tries <= self.failures:
            raise ConnectionError("no leader")
        await super().publish_all(contract, messages)


class Stage:
    """The outbox stage, on documents in memory."""

    def __init__(self, path: Path, failures: int = 0) -> None:
        self.worker, self.publisher, self.clock = MemoryWorker(), Failing(failures), Clock()
        self.path = path / "suspects.json"
        self.videos, self.commands = MemoryDocuments(), MemoryDocuments()
        self.outbox = VideoOutbox(
            videos=self.videos, commands=self.commands, lease=timedelta(seconds=60), now=self.clock
        )
        self.worker.clients.claims = self.outbox.claims
        self.stage = self.start()

    def start(self) -> OutboxPublisher:
        """The stage as it starts: of what was in hand only the file remains."""
        return OutboxPublisher(cast("Worker[Any]", self.worker), self.publisher, Suspects(self.path))

    async def live(self) -> bool:
        """Start, publish everything, and return whether that was survived."""
        self.stage, self.publisher.has_died = self.start(), asyncio.Event()
        living = asyncio.create_task(self._publish())
        dying = asyncio.create_task(self.publisher.has_died.wait())
        await asyncio.wait([living, dying], return_when=asyncio.FIRST_COMPLETED)
        note = self.path.read_text() if self.path.exists() else "{}"  # a dead process puts nothing down
        dying.cancel()
        if living.cancel():
            await asyncio.wait([living])
            self.path.write_text(note)
            return False
        await living
        return True

    async def _publish(self) -> None:
        await self.stage.take_up()
        await self.stage.publish_new()
        await self.stage.publish_again()

    async def accept(self, video_id: str) -> None:
        self.clock.pass_by(timedelta(seconds=1))
        await self.outbox.accept(
            video_id=video_id, bucket="videos", object_name=f"input/{video_id}.mp4", input_owned=True
        )

    def status(self, video_id: str) -> str:
        return str(self.videos.documents[video_id]["status"])

    def sent(self) -> list[str]:
        return [each.video_id for each in self.publisher.of(OUTBOX_EVENTS)]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_stage, "FIRST_PAUSE", 0.0)


async def test_everything_new_is_published_and_marked(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    for number in range(60):
        await stage.accept(f"v{number}")
    await stage.stage.publish_new()
    assert sorted(stage.sent()) == sorted(f"v{number}" for number in range(60))
    assert {document["status"] for document in stage.videos.documents.values()} == {"sent"}


async def test_what_is_asked_for_while_the_worker_is_at_work_is_done_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path)
    await stage.accept("a")
    publish = stage.stage._publish_all

    async def publish_meanwhile(claimed: Sequence[Claimed]) -> list[Claimed]:
        assert stage.stage.is_at_work
        if len(stage.videos.documents) == 1:
            await stage.accept("b")
            stage.stage.due.add("new")
        return await publish(claimed)

    monkeypatch.setattr(stage.stage, "_publish_all", publish_meanwhile)
    stage.stage.due |= {"new", "again"}
    await stage.stage.do_what_is_due()
    assert sorted(stage.sent()) == ["a", "b"]
    assert not stage.stage.due
    assert not stage.stage.is_at_work


async def test_a_document_is_published_once(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    await stage.accept("a")
    await stage.stage.publish_new()
    await stage.stage.publish_new()
    assert stage.sent() == ["a"]


async def test_a_broker_that_stumbles_is_tried_again(tmp_path: Path) -> None:
    stage = Stage(tmp_path, failures=2)
    await stage.accept("a")
    await stage.stage.publish_new()
    assert (stage.sent(), stage.status("a")) == (["a"], "sent")


async def test_a_document_stays_new_when_the_broker_does_not_take_it_and_is_sent_later(
    tmp_path: Path,
) -> None:
    stage = Stage(tmp_path, failures=5)
    await stage.accept("a")
    await stage.stage.publish_new()
    assert (stage.sent(), stage.status("a")) == ([], "new")
    assert "no leader" in stage.videos.documents["a"]["last_error"]
    await stage.stage.publish_new()
    assert (stage.sent(), stage.status("a")) == (["a"], "sent")


async def test_before_a_further_try_the_lease_is_renewed_and_who_has_lost_it_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(tmp_path, failures=1)
    await stage.accept("a")
    claims = stage.outbox.claims

    async def another_takes_it(*_: object) -> None:
        stage.clock.pass_by(timedelta(seconds=61))
        assert [each.key for each in await claims.take()] == ["a"]

    monkeypatch.setattr(claims, "note_error", another_takes_it)
    await stage.stage.publish_new()
    assert (stage.sent(), stage.status("a"), stage.publisher.tries) == ([], "new", 1)


async def test_nothing_is_marked_while_mongo_is_away(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    await stage.accept("a")
    stage.videos.is_away = stage.commands.is_away = True
    with pytest.raises(RetryLater):
        await stage.stage.publish_new()
    stage.videos.is_away = stage.commands.is_away = False
    assert (stage.sent(), stage.status("a")) == ([], "new")


async def test_a_deletion_is_published_too(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    await stage.accept("a")
    await stage.stage.publish_new()
    await stage.outbox.delete_one("a")
    await stage.stage.publish_new()
    assert [each.kind for each in stage.publisher.of(OUTBOX_EVENTS)] == ["submitted", "delete"]


async def test_what_had_no_outcome_for_too_long_is_published_again(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    await stage.accept("a")
    await stage.stage.publish_new()
    await stage.stage.publish_again()
    assert stage.sent() == ["a"]
    stage.clock.pass_by(stage.worker.settings.redrive_after + timedelta(seconds=1))
    await stage.stage.publish_again()
    assert stage.sent() == ["a", "a"]
    await stage.stage.publish_again()
    assert stage.sent() == ["a", "a"], "the next time is later"


@pytest.mark.usefixtures("expects_errors")
async def test_a_document_that_kills_its_worker_each_time_fails_and_the_others_are_sent(
    tmp_path: Path,
) -> None:
    stage = Stage(tmp_path)
    for video_id in "abc":
        await stage.accept(video_id)
    stage.publisher.fatal = "b"

    lives = [await stage.live() for _ in range(DEATHS + 1)]

    assert lives == [False] * DEATHS + [True]
    assert await stage.live()
    assert {stage.status(video_id) for video_id in "abc"} == {"sent"}
    assert stage.videos.documents["b"]["error"]["code"] == "worker_crashed"
    assert [stage.videos.documents[each].get("outcome") for each in "abc"] == [None, "failed", None]
    assert sorted(set(stage.sent())) == ["a", "c"]
    assert not Suspects(stage.path).any_left


async def test_what_was_in_hand_at_a_death_is_taken_at_once_and_not_after_its_lease(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    for video_id in "ab":
        await stage.accept(video_id)
    stage.publisher.fatal = "b"
    assert not await stage.live()

    stage.publisher.fatal = ""

    assert await stage.live()
    assert {stage.status(video_id) for video_id in "ab"} == {"sent"}


async def test_a_stop_in_order_is_no_death(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    await stage.accept("a")
    stage.publisher.fatal = "a"
    for _ in range(DEATHS):
        publishing = asyncio.create_task(stage.stage.publish_new())
        await stage.publisher.has_died.wait()
        publishing.cancel()
        await asyncio.wait([publishing])
        await stage.outbox.claims.free(["a"])
        stage.stage, stage.publisher.has_died = stage.start(), asyncio.Event()

    stage.publisher.fatal = ""

    assert await stage.live()
    assert stage.sent() == ["a"]


async def test_a_video_that_was_published_before_does_not_fail_of_being_published_again(
    tmp_path: Path,
) -> None:
    stage = Stage(tmp_path)
    await stage.accept("a")
    await stage.stage.publish_new()
    stage.clock.pass_by(stage.worker.settings.redrive_after + timedelta(seconds=1))
    stage.publisher.fatal = "a"

    lives = [await stage.live() for _ in range(DEATHS + 1)]

    assert lives == [False] * DEATHS + [True]
    document = stage.videos.documents["a"]
    assert (document.get("outcome"), document["redrives"]) == (None, 1)


@pytest.mark.usefixtures("expects_errors")
async def test_a_video_whose_options_cannot_be_read_fails_and_stops_no_other(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    await stage.accept("a")
    await stage.accept("b")
    stage.videos.documents["a"]["payload"]["options"] = {"imgsz": 7, "classes": []}

    assert await stage.live()

    document = stage.videos.documents["a"]
    assert (document["status"], document["outcome"]) == ("sent", "failed")
    assert document["error"]["code"] == "rejected"
    assert "options" in document["error"]["message"]
    assert stage.sent() == ["b"]
    assert (await stage.outbox.get("a")) is not None, "it can be listed all the same"


async def test_a_video_whose_options_cannot_be_read_is_deleted_like_any_other(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    await stage.accept("a")
    await stage.stage.publish_new()
    stage.videos.documents["a"]["payload"]["options"] = {"imgsz": 7}
    await stage.outbox.delete_one("a")
    await stage.stage.publish_new()
    assert [each.kind for each in stage.publisher.of(OUTBOX_EVENTS)] == ["submitted", "delete"]


@pytest.mark.usefixtures("expects_errors")
async def test_a_deletion_that_kills_its_worker_each_time_is_left_for_an_operator(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    await stage.accept("a")
    await stage.stage.publish_new()
    await stage.outbox.delete_one("a")
    stage.publisher.fatal = "a"

    lives = [await stage.live() for _ in range(DEATHS + 1)]

    assert lives == [False] * DEATHS + [True]
    (command,) = stage.commands.documents.values()
    assert command["status"] == "refused"


async def test_what_was_claimed_when_mongo_went_away_is_published_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise Unavailable("Mongo", "the test took it away")

    stage = Stage(tmp_path, failures=1)
    await stage.accept("a")
    with monkeypatch.context() as outage:
        outage.setattr(stage.outbox.claims, "note_error", away)
        with pytest.raises(Unavailable):
            await stage.stage.publish_new()
    await stage.stage.publish_new()
    assert stage.sent() == [], "it is claimed"

    await stage.stage.take_up()
    await stage.stage.publish_new()

    assert stage.sent() == ["a"]
