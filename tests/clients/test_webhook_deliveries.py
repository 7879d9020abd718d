"""Deliveries are claimed by one process at a time, in turns by host, and keep what came of them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from app.clients.main_db.webhook_deliveries import LEASE, TRIES_KEPT, Delivery, Try, WebhookDeliveries
from app.clients.mongo import open_mongo
from app.domain.webhooks import Next
from app.settings import Settings
from tests.support.clock import Clock

pytestmark = pytest.mark.servers

SECOND = timedelta(seconds=1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def deliveries(servers: Settings, clock: Clock) -> AsyncIterator[WebhookDeliveries]:
    async with open_mongo(servers.mongo_uri) as mongo:
        found = WebhookDeliveries(mongo.collection("kadr_test", uuid4().hex), now=clock)
        await found.prepare()
        yield found


async def add(
    deliveries: WebhookDeliveries, name: str, *, host: str = "a.example", video: str = "v"
) -> Delivery:
    now = deliveries.now()
    delivery = Delivery(
        id=name,
        video_id=video,
        owner="key",
        type="video.ready",
        url=f"https://{host}/",
        host=host,
        body="{}",
        created_at=now,
        due_at=now,
    )
    assert await deliveries.add(delivery)
    return delivery


async def test_what_is_added_twice_is_there_once(deliveries: WebhookDeliveries) -> None:
    delivery = await add(deliveries, "one")
    assert not await deliveries.add(replace(delivery, body="other"))
    assert await deliveries.of("v") == [delivery]


async def test_of_many_who_claim_at_the_same_time_one_has_it(deliveries: WebhookDeliveries) -> None:
    await add(deliveries, "one")
    taken = await asyncio.gather(*(deliveries.take("a.example", limit=2) for _ in range(8)))
    assert [each.id for some in taken for each in some] == ["one"]
    assert await deliveries.next_host("") is None


async def test_a_claim_that_is_not_used_ends_and_counts_as_a_try(
    deliveries: WebhookDeliveries, clock: Clock
) -> None:
    await add(deliveries, "one")
    (dead,) = await deliveries.take("a.example", limit=1)
    clock.pass_by(LEASE - SECOND)
    assert await deliveries.take("a.example", limit=1) == []
    clock.pass_by(SECOND)
    (alive,) = await deliveries.take("a.example", limit=1)
    assert (dead.count, alive.count) == (1, 2)
    made = Try(clock.now, 0.1, 200)
    assert not await deliveries.note(dead, made, Next("delivered")), "its claim is over"
    assert await deliveries.note(alive, made, Next("delivered"))


async def test_hosts_are_found_in_turn_whatever_waits_for_one_of_them(deliveries: WebhookDeliveries) -> None:
    for number in range(30):
        await add(deliveries, f"slow{number}", host="b.example")
    for host in ("a.example", "c.example:8080"):
        await add(deliveries, host, host=host)
    found = [""]
    while following := await deliveries.next_host(found[-1]):
        found.append(following)
    assert found == ["", "a.example", "b.example", "c.example:8080"]
    assert len(await deliveries.take("b.example", limit=2)) == 2


async def test_what_is_tried_again_is_due_then_and_keeps_its_last_tries(
    deliveries: WebhookDeliveries, clock: Clock
) -> None:
    await add(deliveries, "one")
    for number in range(TRIES_KEPT + 5):
        (claimed,) = await deliveries.take("a.example", limit=1)
        assert claimed.trying_since == clock.now
        assert await deliveries.note(claimed, Try(clock.now, 0.1, 500 + number), Next("waiting", SECOND))
        assert await deliveries.take("a.example", limit=1) == []
        clock.pass_by(SECOND)
    (kept,) = await deliveries.of("v")
    assert [each.status for each in kept.tries] == list(range(505, 505 + TRIES_KEPT))
    assert (kept.state, kept.count, kept.trying_since) == ("waiting", TRIES_KEPT + 5, None)


async def test_what_is_over_is_not_claimed_until_somebody_asks_for_it(
    deliveries: WebhookDeliveries, clock: Clock
) -> None:
    await add(deliveries, "one")
    (claimed,) = await deliveries.take("a.example", limit=1)
    assert await deliveries.again("v", "one") is None, "a try is under way"
    await deliveries.note(claimed, Try(clock.now, 0.1, 410), Next("failed"))
    clock.pass_by(timedelta(days=30))
    assert await deliveries.next_host("") is None
    assert [each.id for each in await deliveries.in_state("failed", owner="key", limit=10)] == ["one"]
    assert await deliveries.in_state("failed", owner="other", limit=10) == []
    assert len(await deliveries.in_state("failed", owner=None, limit=10)) == 1

    assert await deliveries.again("w", "one") is None, "it is not of that video"
    again = await deliveries.again("v", "one")
    assert again is not None
    assert (again.state, again.count, len(again.tries)) == ("waiting", 0, 1)
    (claimed,) = await deliveries.take("a.example", limit=1)
    assert (claimed.id, claimed.body) == ("one", "{}")


async def test_a_video_is_forgotten_with_its_deliveries(deliveries: WebhookDeliveries) -> None:
    await add(deliveries, "one")
    await add(deliveries, "two")
    await add(deliveries, "other", video="w")
    await deliveries.forget("v")
    assert await deliveries.of("v") == []
    assert [each.id for each in await deliveries.of("w")] == ["other"]
