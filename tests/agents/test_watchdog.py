"""A video that does not move is looked at, unless it is only slow or the world is away."""

from datetime import timedelta
from typing import Any, cast

import pytest

from agents.watchdog import Watchdog
from app.errors import Unavailable
from app.streaming.drain import Drain
from app.topics import VIDEO_SPLITS
from app.worker import Worker
from tests.support.examples import asked, facts
from tests.support.streams import KeptPublisher
from tests.support.workers import MemoryWorker


class Way:
    """What is on its way, as far as a test lets it go on."""

    def __init__(self) -> None:
        self.is_read = True
        self.is_away = False
        self.begun = 0

    def begin(self) -> "Way":
        self.begun += 1
        return self

    async def is_over(self, _broker: object) -> bool:
        if self.is_away:
            raise Unavailable("Kafka", "the test took it away")
        return self.is_read


class Watch:
    """The watchdog, on records in memory."""

    def __init__(self) -> None:
        self.worker, self.publisher, self.way = MemoryWorker(), KeptPublisher(), Way()
        self.records = self.worker.clients.records
        self.watchdog = Watchdog(
            cast("Worker[Any]", self.worker), self.publisher, lambda: cast("Drain", self.way.begin())
        )

    async def look(self) -> list[tuple[str, str, int]]:
        """Look once and return what was told."""
        self.publisher.published.clear()
        await self.watchdog.look()
        return [(each.video_id, each.kind, each.round) for each in self.publisher.of(VIDEO_SPLITS)]

    async def split(self, video_id: str) -> None:
        """A video whose split has ended."""
        await self.records.accept(asked(video_id))
        (record,) = await self.records.claim_splits(1, first=video_id)
        await self.records.end_split(record, facts(3))

    def pass_by(self) -> None:
        """Let every record be older than the watchdog waits."""
        for document in self.worker.mongo.documents.documents.values():
            document["updated_at"] -= self.worker.settings.stall_after + timedelta(seconds=1)


@pytest.fixture
def watch() -> Watch:
    return Watch()


async def test_a_video_that_has_not_moved_for_long_is_asked_about_round_after_round(watch: Watch) -> None:
    await watch.split("a")
    assert await watch.look() == []
    for number in (1, 2, 3, 4):
        watch.pass_by()
        assert await watch.look() == [("a", "checked", number)]
        assert await watch.look() == [], "the clock begins anew"


async def test_a_video_that_has_moved_begins_at_the_first_round(watch: Watch) -> None:
    await watch.split("a")
    watch.pass_by()
    await watch.look()
    await watch.records.note_received("a", 1, 1)
    watch.pass_by()
    assert await watch.look() == [("a", "checked", 1)]


async def test_a_video_is_only_slow_as_long_as_what_was_on_its_way_is_not_read(watch: Watch) -> None:
    await watch.split("a")
    watch.pass_by()
    watch.way.is_read = False
    for _ in range(5):
        assert await watch.look() == []
    assert watch.way.begun == 1, "what others send meanwhile does not count"
    watch.way.is_read = True
    assert await watch.look() == [("a", "checked", 1)]


async def test_a_video_that_moves_while_it_is_watched_is_not_asked_about(watch: Watch) -> None:
    await watch.split("a")
    watch.pass_by()
    watch.way.is_read = False
    await watch.look()
    await watch.records.note_received("a", 1, 1)
    watch.way.is_read = True
    assert await watch.look() == []


async def test_a_video_that_is_complete_but_goes_no_further_is_asked_about_too(watch: Watch) -> None:
    await watch.split("a")
    await watch.records.advance("a", 1, "predictable")
    watch.pass_by()
    assert await watch.look() == [("a", "checked", 1)]


async def test_a_video_that_is_being_split_or_has_ended_is_left_alone(watch: Watch) -> None:
    await watch.records.accept(asked("a"))
    await watch.split("b")
    await watch.records.advance("b", 1, "ready")
    watch.pass_by()
    assert await watch.look() == []


async def test_nothing_is_counted_while_a_dependency_is_away(watch: Watch) -> None:
    await watch.split("a")
    watch.pass_by()

    watch.way.is_away = True
    with pytest.raises(Unavailable):
        await watch.look()
    record = await watch.records.get("a")
    assert record is not None
    assert record.checks == 0
