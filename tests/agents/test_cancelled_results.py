"""A cancelled video leaves its reason and no result, whatever was being written at that moment."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import s3_outbox
from app.delivery import CRASHED
from app.domain.failures import failure
from app.domain.messages import Message, SplitEnded, VideoEnded
from app.domain.objects import (
    ATTEMPT_KEY,
    deleted_object,
    detection_object,
    failed_object,
    marks,
)
from app.streaming.durable_table import on_behalf_of
from app.topics import VIDEO_RESULTS
from tests.support.examples import asked, frames_detected, split_ended, video_ended
from tests.support.results import Results
from tests.support.streams import delivered

COMPLETE: list[Message] = [split_ended("a"), frames_detected("a", 0, 5, 10)]


def cancelled(attempt: int = 1) -> SplitEnded:
    return split_ended("a", "cancelled", sampled=None, attempt=attempt, error=failure("cancelled"))


async def cancel(results: Results) -> None:
    """What the runner does with a cancel: its record, then a message."""
    records = results.worker.clients.records
    assert await records.withdraw(asked("a", "cancel"), "cancelled", failure("cancelled"))
    await results.receive([cancelled()])


def objects(results: Results) -> set[str]:
    return set(results.worker.s3.objects("videos"))


async def ends_cancelled(results: Results) -> None:
    """Let everything that is on its way arrive; nothing but the reason and a tombstone is left."""
    await results.act()
    assert objects(results) == {failed_object("a")}
    assert results.document(failed_object("a"))["error"]["code"] == "cancelled"
    record = await results.worker.clients.records.get("a")
    assert record is not None
    assert (record.status, record.error) == ("cancelled", failure("cancelled"))
    assert results.rows == {}
    assert list(results.heads) == [b"a"]
    head = results.videos.head("a")
    assert head is not None
    assert (head.state, head.is_tombstone) == ("cancelled", True)


@pytest.fixture
async def accepted(results: Results) -> Results:
    await results.worker.clients.records.accept(asked("a"))
    return results


@pytest.mark.parametrize("arrived", range(4))
async def test_a_video_is_cancelled_however_much_of_it_has_arrived(accepted: Results, arrived: int) -> None:
    messages: list[Message] = [frames_detected("a", 0), split_ended("a"), frames_detected("a", 5, 10)]
    await accepted.receive(messages[:arrived])
    await cancel(accepted)
    await accepted.receive(COMPLETE)  # late
    await ends_cancelled(accepted)


def meanwhile(do: Callable[..., Awaitable[Any]], then: Callable[[], Awaitable[None]], *, after: bool) -> Any:  # noqa: ANN401 - as it was
    """Let something happen before or after the first call."""
    left = [then]

    async def call(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - as above
        happens = left.pop() if left else None
        if happens and not after:
            await happens()
        found = await do(*given, **named)
        if happens and after:
            await happens()
        return found

    return call


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("place", ["storage.put_stream", "records.advance", "rows.durable", "heads.durable"])
async def test_a_video_that_is_cancelled_while_its_result_is_written_has_none(
    accepted: Results, place: str, *, after: bool
) -> None:
    await accepted.receive(COMPLETE)
    name, call = place.split(".")
    clients = accepted.worker.clients
    owner: Any = {"storage": clients.storage, "records": clients.records}.get(name) or getattr(accepted, name)
    setattr(owner, call, meanwhile(getattr(owner, call), lambda: cancel(accepted), after=after))
    await accepted.act()
    await ends_cancelled(accepted)


async def test_a_video_that_is_cancelled_between_two_rows_of_its_result_has_none(
    accepted: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_outbox, "ROWS_AT_ONCE", 1)
    await accepted.receive(COMPLETE)
    rows, seen = accepted.outbox._rows, 0

    async def some(*given: Any) -> AsyncIterator[list[bytes]]:  # noqa: ANN401 - what it is called with
        nonlocal seen
        async for each in rows(*given):
            seen += 1
            yield each
            await cancel(accepted)

    accepted.outbox._rows = some  # type: ignore[method-assign, assignment]  # meanwhile
    await accepted.act()
    assert seen == 1
    await ends_cancelled(accepted)


@pytest.mark.parametrize("kind", ["split", "failed"])
async def test_an_end_that_nobody_had_seen_gives_way(accepted: Results, kind: str) -> None:
    await accepted.receive([split_ended("a", kind), frames_detected("a", 0, 5, 10)])
    await accepted.act()
    assert len(objects(accepted)) == 1
    await cancel(accepted)
    await ends_cancelled(accepted)


async def test_a_cancellation_that_is_told_again_changes_nothing(accepted: Results) -> None:
    await accepted.receive(COMPLETE)
    await cancel(accepted)
    await accepted.receive([cancelled()])
    await accepted.act()
    await accepted.receive([cancelled(), split_ended("a", "checked", round=1)])
    await ends_cancelled(accepted)


async def test_what_a_frozen_process_writes_after_the_cancellation_is_taken_back(accepted: Results) -> None:
    await accepted.receive(COMPLETE)
    await accepted.worker.clients.records.withdraw(asked("a", "cancel"), "cancelled", failure("cancelled"))
    await accepted.act()
    assert objects(accepted) == set()
    await accepted.receive([cancelled()])
    await ends_cancelled(accepted)


async def test_what_a_process_left_that_was_killed_before_it_took_it_back_goes(accepted: Results) -> None:
    await accepted.receive(COMPLETE)
    await cancel(accepted)
    await accepted.act()
    storage = accepted.worker.clients.storage
    await storage.put("videos", detection_object("a"), b"{}", content_type="x", metadata=marks(1))
    await accepted.act(video_ended("a"))
    await ends_cancelled(accepted)
    await storage.put("videos", detection_object("a"), b"{}", content_type="x", metadata=marks(2))
    await accepted.act(video_ended("a"))
    assert detection_object("a") in objects(accepted), "it is of an attempt after it"


async def test_a_late_result_goes_with_the_tombstone_of_a_cancelled_video_and_its_reason_stays(
    accepted: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cancel(accepted)
    await accepted.act()
    storage = accepted.worker.clients.storage
    await storage.put("videos", detection_object("a"), b"{}", content_type="x", metadata=marks(1))
    later = time.time() + (accepted.worker.settings.tombstone_days + 1) * 86400
    monkeypatch.setattr(time, "time", lambda: later)
    await accepted.act(VideoEnded("a", "expired", 1))
    assert objects(accepted) == {failed_object("a")}
    assert accepted.heads == {}


async def test_a_cancelled_video_whose_result_kills_its_worker_is_cancelled(accepted: Results) -> None:
    await accepted.receive(COMPLETE)
    await accepted.worker.clients.records.withdraw(asked("a", "cancel"), "cancelled", failure("cancelled"))
    (fatal,) = delivered(VIDEO_RESULTS, video_ended("a"))
    with on_behalf_of(fatal.event):
        await accepted.outbox.give_up(fatal.event, CRASHED)
    assert objects(accepted) == set()
    await accepted.receive([cancelled()])
    await ends_cancelled(accepted)


async def test_another_attempt_has_its_own_result_and_the_reason_of_the_first_goes(accepted: Results) -> None:
    await accepted.receive(COMPLETE)
    await cancel(accepted)
    await accepted.act()
    await accepted.worker.clients.records.accept(asked("a", attempt=2))
    await accepted.receive([frames_detected("a", 0, 5, attempt=1), frames_detected("a", 0, 5, attempt=2)])
    await accepted.receive([cancelled(), split_ended("a"), split_ended("a", attempt=2)])
    await accepted.receive([frames_detected("a", 10, attempt=2)])
    await accepted.act()
    assert objects(accepted) == {detection_object("a")}
    kept = accepted.worker.s3.buckets["videos"][detection_object("a")]
    assert kept.facts("").metadata[ATTEMPT_KEY] == "2"
    assert accepted.rows == {}


async def test_a_reason_that_is_written_late_of_an_attempt_that_is_over_is_taken_back(
    accepted: Results,
) -> None:
    await cancel(accepted)
    await accepted.worker.clients.records.accept(asked("a", attempt=2))
    await accepted.act()
    assert objects(accepted) == set()
    await accepted.receive([split_ended("a", attempt=2), frames_detected("a", 0, 5, 10, attempt=2)])
    await accepted.act()
    assert objects(accepted) == {detection_object("a")}


async def test_a_cancelled_video_that_is_deleted_leaves_nothing(accepted: Results) -> None:
    await accepted.receive(COMPLETE)
    await cancel(accepted)
    await accepted.act()
    await accepted.worker.clients.records.withdraw(asked("a", "delete"), "deleted", None)
    await accepted.receive([split_ended("a", "deleted", sampled=None), cancelled()])
    await accepted.act()
    assert objects(accepted) == {deleted_object("a")}
    assert list(accepted.heads) == [b"a"]


@st.composite
def lives(draw: st.DrawFn) -> list[tuple[str, Message | None]]:
    """Messages of two attempts, the first of which is cancelled, in any order and some twice."""
    of_first: list[Message] = [*COMPLETE, cancelled(), frames_detected("a", 0), split_ended("a", "checked")]
    of_second: list[Message] = [
        split_ended("a", attempt=2),
        frames_detected("a", 0, 5, attempt=2),
        frames_detected("a", 10, attempt=2),
    ]
    repeated = draw(st.lists(st.sampled_from(of_first + of_second), max_size=5))
    order = draw(st.permutations([*of_first, *of_second, *repeated]))
    steps: list[tuple[str, Message | None]] = []
    for message in order:
        steps.append(("receive", message))
        if draw(st.booleans()):
            steps.append(("act", None))
    return steps


@settings(max_examples=150, deadline=None)
@given(lives())
def test_in_any_order_only_the_attempt_after_a_cancellation_has_a_result(
    steps: list[tuple[str, Message | None]],
) -> None:
    async def run() -> Results:
        results = Results()
        records = results.worker.clients.records
        await records.accept(asked("a"))
        await records.withdraw(asked("a", "cancel"), "cancelled", failure("cancelled"))
        await records.accept(asked("a", attempt=2))
        for what, message in steps:
            if message is not None:
                await results.receive([message])
            elif what == "act":
                await results.act()
        await results.act()
        return results

    results = asyncio.run(run())
    assert objects(results) == {detection_object("a")}
    kept = results.worker.s3.buckets["videos"][detection_object("a")]
    assert kept.facts("").metadata[ATTEMPT_KEY] == "2"
    assert results.rows == {}
    assert list(results.heads) == [b"a"]
