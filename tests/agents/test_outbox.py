"""A document is marked as sent only after the broker has its message, and stays otherwise."""

from datetime import timedelta
from typing import Any, cast

import pytest

from agents import outbox as outbox_stage
from agents.outbox import OutboxPublisher
from app.clients.video_outbox import VideoOutbox
from app.errors import RetryLater
from app.topics import OUTBOX_EVENTS
from app.worker import Worker
from tests.support.fakes import Clock, MemoryDocuments
from tests.support.streams import KeptPublisher
from tests.support.workers import MemoryWorker


class Failing(KeptPublisher):
    """A publisher that fails so many times, and tells what the documents said when it was asked."""

    def __init__(self, failures: int = 0) -> None:
        super().__init__()
        self.failures = failures
        self.tries = 0

    async def publish_all(self, contract: Any, messages: Any) -> None:  # noqa: ANN401
        self.tries += 1
        if self.tries <= self.failures:
            raise ConnectionError("no leader")
        await super().publish_all(contract, messages)


class Stage:
    """The outbox stage, on documents in memory."""

    def __init__(self, failures: int = 0) -> None:
        self.worker, self.publisher, self.clock = MemoryWorker(), Failing(failures), Clock()
        self.videos, self.commands = MemoryDocuments(), MemoryDocuments()
        self.outbox = VideoOutbox(
            videos=self.videos, commands=self.commands, lease=timedelta(seconds=60), now=self.clock
        )
        self.worker.clients.outbox = self.outbox
        self.stage = OutboxPublisher(cast("Worker[Any]", self.worker), self.publisher)

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


async def test_everything_new_is_published_and_marked() -> None:
    stage = Stage()
    for number in range(60):
        await stage.accept(f"v{number}")
    await stage.stage.publish_new()
    assert sorted(stage.sent()) == sorted(f"v{number}" for number in range(60))
    assert {document["status"] for document in stage.videos.documents.values()} == {"sent"}


async def test_a_document_is_published_once() -> None:
    stage = Stage()
    await stage.accept("a")
    await stage.stage.publish_new()
    await stage.stage.publish_new()
    assert stage.sent() == ["a"]


async def test_a_broker_that_stumbles_is_tried_again() -> None:
    stage = Stage(failures=2)
    await stage.accept("a")
    await stage.stage.publish_new()
    assert (stage.sent(), stage.status("a")) == (["a"], "sent")


async def test_a_document_stays_new_when_the_broker_does_not_take_it_and_is_sent_later() -> None:
    stage = Stage(failures=5)
    await stage.accept("a")
    await stage.stage.publish_new()
    assert (stage.sent(), stage.status("a")) == ([], "new")
    assert "no leader" in stage.videos.documents["a"]["last_error"]
    await stage.stage.publish_new()
    assert (stage.sent(), stage.status("a")) == (["a"], "sent")


async def test_nothing_is_marked_while_mongo_is_away() -> None:
    stage = Stage()
    await stage.accept("a")
    stage.videos.is_away = stage.commands.is_away = True
    with pytest.raises(RetryLater):
        await stage.stage.publish_new()
    stage.videos.is_away = stage.commands.is_away = False
    assert (stage.sent(), stage.status("a")) == ([], "new")


async def test_a_deletion_is_published_too() -> None:
    stage = Stage()
    await stage.accept("a")
    await stage.stage.publish_new()
    await stage.outbox.delete_one("a")
    await stage.stage.publish_new()
    assert [each.kind for each in stage.publisher.of(OUTBOX_EVENTS)] == ["submitted", "delete"]


async def test_what_had_no_outcome_for_too_long_is_published_again() -> None:
    stage = Stage()
    await stage.accept("a")
    await stage.stage.publish_new()
    await stage.stage.publish_again()
    assert stage.sent() == ["a"]
    stage.clock.pass_by(stage.worker.settings.redrive_after + timedelta(seconds=1))
    await stage.stage.publish_again()
    assert stage.sent() == ["a", "a"]
    await stage.stage.publish_again()
    assert stage.sent() == ["a", "a"], "the next time is later"
