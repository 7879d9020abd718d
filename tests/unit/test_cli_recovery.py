"""`kadr recover`: what has not come to an end is asked for again, and nothing else."""

import json
import re
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from app.cli import exits, recovery
from app.cli.entry import run
from app.cli.recovery import Recovered, Recovery
from app.clients.main_db.video_outbox import VideoOutbox
from app.clients.s3.storage import Storage
from app.domain.objects import (
    deleted_object,
    detection_object,
    failed_object,
    marks,
)
from app.errors import Unavailable
from tests.support.clock import Clock
from tests.support.memory_mongo import MemoryDocuments
from tests.support.memory_s3 import MemoryS3


@dataclass
class Kadr:
    """What main_db and S3 hold, in memory."""

    clock: Clock = field(default_factory=Clock)
    videos: MemoryDocuments = field(default_factory=MemoryDocuments)
    commands: MemoryDocuments = field(default_factory=MemoryDocuments)
    s3: MemoryS3 = field(default_factory=lambda: MemoryS3("videos"))

    def __post_init__(self) -> None:
        lease = timedelta(seconds=60)
        self.outbox = VideoOutbox(videos=self.videos, commands=self.commands, lease=lease, now=self.clock)
        self.storage = Storage(self.s3, "videos")

    async def accept(self, *names: str) -> None:
        for name in names:
            self.clock.pass_by(timedelta(seconds=1))
            await self.outbox.accept(
                video_id=name, bucket="videos", object_name=f"input/{name}.mp4", input_owned=True
            )

    async def send(self) -> None:
        while some := await self.outbox.claims.take():
            for claimed in some:
                await self.outbox.claims.mark_sent(claimed)

    async def put(self, name: str) -> None:
        await self.storage.put("videos", name, json.dumps({}).encode(), content_type="application/json")

    async def recover(self, *, is_dry_run: bool = False) -> Recovered:
        return await Recovery(self.outbox, self.storage, is_dry_run=is_dry_run).run()

    def attempts(self) -> dict[str, tuple[str, int]]:
        return {key: (each["status"], each["attempt"]) for key, each in self.videos.documents.items()}


@pytest.fixture
async def kadr() -> Kadr:
    """One video of each kind, and two deletions, one of them confirmed."""
    made = Kadr()
    await made.accept("lost", "ready", "failed", "seen", "deleted", "gone")
    for name in ("deleted", "gone"):
        await made.outbox.delete_one(name)
    await made.send()
    await made.put(detection_object("ready"))
    await made.put(failed_object("failed"))
    await made.put(deleted_object("gone"))
    await made.outbox.set_outcome("seen", "ready", attempt=1, at=made.clock.now)
    await made.accept("new")
    return made


async def test_only_what_has_no_end_is_asked_for_again(kadr: Kadr) -> None:
    assert await kadr.recover() == Recovered(videos=1, deletions=1, done=3, waiting=1)

    alive = {name: found for name, found in kadr.attempts().items() if name not in {"deleted", "gone"}}
    assert alive == {
        "lost": ("new", 2),
        "ready": ("sent", 1),
        "failed": ("sent", 1),
        "seen": ("sent", 1),
        "new": ("new", 1),
    }
    assert [each.asked.video_id for each in await kadr.outbox.claims.take()] == ["deleted", "lost", "new"]


async def test_a_dry_run_says_the_same_and_changes_nothing(kadr: Kadr) -> None:
    before = kadr.attempts()
    assert await kadr.recover(is_dry_run=True) == Recovered(videos=1, deletions=1, done=3, waiting=1)
    assert kadr.attempts() == before
    assert await kadr.recover() == Recovered(videos=1, deletions=1, done=3, waiting=1)


async def test_what_is_asked_for_again_and_not_published_yet_is_left_alone(kadr: Kadr) -> None:
    await kadr.recover()
    assert await kadr.recover() == Recovered(videos=0, deletions=0, done=3, waiting=3)


async def test_what_was_cancelled_is_not_begun_again_but_its_cancellation_is_told_again(kadr: Kadr) -> None:
    await kadr.accept("stopped", "at rest")
    await kadr.send()
    *_, stopped, at_rest = await kadr.outbox.without_outcome(limit=10)
    for video in (stopped, at_rest):
        assert await kadr.outbox.withdrawals.cancel(video)
    assert await kadr.outbox.withdrawals.confirm(at_rest)
    await kadr.send()
    found = Recovered(videos=2, deletions=1, done=3, waiting=0, cancellations=1)
    assert await kadr.recover(is_dry_run=True) == found
    assert await kadr.recover() == found
    told = [(each.asked.video_id, each.asked.kind) for each in await kadr.outbox.claims.take()]
    assert told == [("deleted", "delete"), ("stopped", "cancel"), ("lost", "submitted"), ("new", "submitted")]


async def test_what_lies_in_s3_of_an_attempt_before_is_no_end(kadr: Kadr) -> None:
    await kadr.recover()
    await kadr.send()
    facts = {"content_type": "application/json", "metadata": marks(1)}
    await kadr.storage.put("videos", failed_object("lost"), b"{}", **facts)  # type: ignore[arg-type]  # as named
    await kadr.recover()
    assert kadr.attempts()["lost"] == ("new", 3)


async def test_more_than_fits_into_one_round_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "PER_ROUND", 3)
    kadr = Kadr()
    await kadr.accept(*(f"v{number}" for number in range(8)))
    await kadr.send()
    assert await kadr.recover() == Recovered(videos=8, deletions=0, done=0, waiting=0)
    assert set(kadr.attempts().values()) == {("new", 2)}


async def test_without_s3_nothing_is_asked_for_again(kadr: Kadr) -> None:
    before = kadr.attempts()
    kadr.s3.is_away = True
    with pytest.raises(Unavailable):
        await kadr.recover()
    assert kadr.attempts() == before


@pytest.mark.parametrize(
    ("found", "is_dry_run", "sentence"),
    [
        (
            Recovered(videos=1, deletions=2, done=3, waiting=4),
            False,
            "1 video and 2 deletions asked for again, 3 found done, 4 waiting to be published",
        ),
        (
            Recovered(videos=2, deletions=1, done=0, waiting=0),
            True,
            "2 videos and 1 deletion would be asked for again, 0 found done, 0 waiting to be published",
        ),
    ],
)
def test_it_is_said_in_one_line(found: Recovered, sentence: str, *, is_dry_run: bool) -> None:
    assert found.sentence(is_dry_run=is_dry_run) == sentence


def test_cancellations_are_named_where_there_are_any() -> None:
    found = Recovered(videos=0, deletions=1, done=0, waiting=0, cancellations=2)
    sentence = found.sentence(is_dry_run=False)
    assert sentence.startswith("0 videos, 1 deletion and 2 cancellations asked for again,")


def test_mongo_that_is_away_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")  # the settings are the environment's
    monkeypatch.setenv("MONGO_URI", "mongodb://127.0.0.1:1/")
    assert run(["recover"]) == exits.EXIT_UNAVAILABLE
    assert re.fullmatch(r"kadr: Mongo is not available: .*\n", capsys.readouterr().err)
