"""An end that somebody is to be told of is due from the moment that it is known, and once."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.domain.failures import failure
from app.settings import Settings
from tests.support.outboxes import KeptOutbox, open_outbox

pytestmark = pytest.mark.servers

URL = "https://hooks.example.org/kadr"


class Kept(KeptOutbox):
    """An outbox, its collections and its clock."""

    async def accept(self, video_id: str, *, webhook: str | None = URL, is_sent: bool = True) -> None:
        await self.outbox.accept(
            video_id=video_id, bucket="videos", object_name="a.mp4", input_owned=False, webhook=webhook
        )
        if is_sent:
            for claimed in await self.outbox.claims.take():
                await self.outbox.claims.mark_sent(claimed)

    async def due(self) -> list[tuple[str, str]]:
        found = await self.outbox.endings.due(limit=10)
        return [(video.id, ending.outcome) for video, endings in found for ending in endings]


@pytest.fixture
async def kept(servers: Settings) -> AsyncIterator[Kept]:
    async with open_outbox(servers) as opened:
        yield Kept(**vars(opened))


async def test_an_outcome_is_due_with_the_update_that_sets_it(kept: Kept) -> None:
    await kept.accept("a")
    assert await kept.due() == []
    assert await kept.outbox.set_outcome(
        "a", "failed", attempt=1, at=kept.clock.now, error=failure("not_a_video")
    )
    ((video, (ending,)),) = await kept.outbox.endings.due(limit=10)
    assert (video.id, video.webhook, video.outcome) == ("a", URL, "failed")
    assert (ending.outcome, ending.at, ending.error) == ("failed", kept.clock.now, failure("not_a_video"))


async def test_who_asked_for_no_webhook_has_none_due(kept: Kept) -> None:
    await kept.accept("a", webhook=None)
    assert await kept.outbox.set_outcome("a", "ready", attempt=1, at=kept.clock.now)
    document = await kept.videos.find_one({"_id": "a"})
    assert document is not None
    assert "webhook" not in document
    assert await kept.due() == []


async def test_an_outcome_that_many_see_at_the_same_time_is_due_once(kept: Kept) -> None:
    await kept.accept("a")
    seen = await asyncio.gather(
        *(kept.outbox.set_outcome("a", "ready", attempt=1, at=kept.clock.now) for _ in range(10))
    )
    assert sum(seen) == 1
    assert await kept.due() == [("a", "ready")]


async def test_a_result_that_comes_after_a_failure_is_told_too(kept: Kept) -> None:
    await kept.accept("a")
    await kept.outbox.set_outcome(
        "a", "failed", attempt=1, at=kept.clock.now, error=failure("worker_crashed")
    )
    await kept.outbox.set_outcome("a", "ready", attempt=1, at=kept.clock.now)
    ((video, endings),) = await kept.outbox.endings.due(limit=10)
    assert [ending.outcome for ending in endings] == ["failed", "ready"]
    assert len({ending.id for ending in endings}) == 2
    assert (video.outcome, video.error) == ("ready", None)


async def test_a_video_that_cannot_be_published_is_told_of_as_well(kept: Kept) -> None:
    await kept.accept("a", is_sent=False)
    (claimed,) = await kept.outbox.claims.take()
    assert await kept.outbox.claims.refuse(claimed, failure("worker_crashed"))
    assert not await kept.outbox.claims.refuse(claimed, failure("worker_crashed"))
    assert await kept.due() == [("a", "failed")]
    document = await kept.videos.find_one({"_id": "a"})
    assert document is not None
    assert (document["status"], "lease_until" in document) == ("sent", False)


async def test_what_became_a_delivery_is_not_due_any_more_and_the_rest_is(kept: Kept) -> None:
    await kept.accept("a")
    await kept.outbox.set_outcome(
        "a", "failed", attempt=1, at=kept.clock.now, error=failure("worker_crashed")
    )
    await kept.outbox.set_outcome("a", "ready", attempt=1, at=kept.clock.now)
    ((_, (first, _)),) = await kept.outbox.endings.due(limit=10)
    for _ in range(2):
        await kept.outbox.endings.settle("a", first)
        assert await kept.due() == [("a", "ready")]


async def test_of_a_deleted_video_nobody_is_told(kept: Kept) -> None:
    await kept.accept("a")
    await kept.outbox.set_outcome("a", "ready", attempt=1, at=kept.clock.now)
    await kept.outbox.delete_one("a")
    assert await kept.due() == []
