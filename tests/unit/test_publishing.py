"""Nothing counts as published that the broker has not confirmed."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.messages import FramesMissing
from app.publishing import ConfirmedPrefix, Publisher
from app.topics import VIDEO_GAPS


class Topic:
    """A topic whose broker confirms when it is told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, bytes]] = []
        self.confirmations: list[asyncio.Future[None]] = []

    async def send(self, *, key: bytes, value: bytes, headers: Any) -> asyncio.Future[None]:  # noqa: ANN401, ARG002
        self.sent.append((key, value))
        self.confirmations.append(asyncio.get_running_loop().create_future())
        return self.confirmations[-1]


async def test_publishing_returns_only_when_every_message_is_confirmed() -> None:
    topic = Topic()
    publisher = Publisher({VIDEO_GAPS.name: topic})
    messages = [("a", FramesMissing("a", 1, [5])), ("b", FramesMissing("b", 1, [10]))]
    publishing = asyncio.create_task(publisher.publish_all(VIDEO_GAPS, messages))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    topic.confirmations[1].set_result(None)
    await asyncio.sleep(0)
    assert not publishing.done()
    topic.confirmations[0].set_result(None)
    await publishing
    assert [key for key, _ in topic.sent] == [b"a", b"b"]


async def test_publishing_fails_as_the_producer_does() -> None:
    topic = Topic()
    publishing = asyncio.create_task(
        Publisher({VIDEO_GAPS.name: topic}).publish(VIDEO_GAPS, FramesMissing("a", 1, [5]), key="a")
    )
    await asyncio.sleep(0)
    topic.confirmations[0].set_exception(TimeoutError("no leader"))
    with pytest.raises(TimeoutError):
        await publishing


@given(order=st.permutations(range(6)), start=st.integers(0, 9), failing=st.none() | st.integers(0, 5))
def test_the_prefix_never_counts_past_a_message_that_is_not_confirmed(
    order: list[int], start: int, failing: int | None
) -> None:
    async def follow() -> None:
        loop = asyncio.get_running_loop()
        sent = [loop.create_future() for _ in order]
        prefix = ConfirmedPrefix(start)
        for each in sent:
            prefix.add(each)
        for index in order:
            if index == failing:
                sent[index].set_exception(TimeoutError())
            else:
                sent[index].set_result(None)
            confirmed = [each.done() and each.exception() is None for each in sent]
            holeless = confirmed.index(False) if False in confirmed else len(sent)
            assert prefix.advance() == start + holeless
            assert prefix.unconfirmed == len(sent) - holeless

    asyncio.run(follow())


async def test_a_failed_message_is_raised_where_the_next_one_is_added_and_at_the_end() -> None:
    loop = asyncio.get_running_loop()
    failed, later = loop.create_future(), loop.create_future()
    prefix = ConfirmedPrefix(0)
    prefix.add(failed)
    failed.set_exception(TimeoutError())
    later.set_result(None)
    with pytest.raises(TimeoutError):
        prefix.add(later)
    assert prefix.unconfirmed == 2, "asking how many are on their way does not hide the hole"
    with pytest.raises(TimeoutError):
        await prefix.finish()
    assert prefix.count == 0


async def test_the_end_waits_for_the_last_confirmation() -> None:
    sent = asyncio.get_running_loop().create_future()
    prefix = ConfirmedPrefix(3)
    prefix.add(sent)
    finishing = asyncio.create_task(prefix.finish())
    await asyncio.sleep(0)
    assert not finishing.done()
    sent.set_result(None)
    assert await finishing == 4
