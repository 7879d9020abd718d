"""The courier on a real Mongo and real receivers: what comes of each answer, and who waits for whom."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

import pytest

from api.webhooks.courier import PER_HOST, Courier, ending
from app.clients.http.receivers import open_receivers
from app.clients.main_db.video_outbox import VideoOutbox
from app.clients.main_db.webhook_deliveries import LEASE, Delivery, WebhookDeliveries
from app.clients.mongo import Mongo
from app.domain.failures import failure
from app.domain.messages import Failure
from app.domain.receivers import Reach
from app.domain.webhooks import Signer
from tests.support.clock import Clock
from tests.support.local_receiver import OK, WHSEC, answer, bodies, open_receiver, redirect

pytestmark = pytest.mark.servers

WITHIN = 20.0
"""Seconds for a state to come about on a busy machine."""


@dataclass
class Post:
    """What a courier works on, and the courier."""

    outbox: VideoOutbox
    deliveries: WebhookDeliveries
    courier: Courier
    clock: Clock

    async def end(self, video_id: str, url: str, error: Failure | None = None) -> None:
        """Let a video come to its end."""
        await self.outbox.accept(
            video_id=video_id,
            bucket="videos",
            object_name="a.mp4",
            input_owned=False,
            filename="a.mp4",
            webhook=url,
        )
        outcome = "failed" if error else "ready"
        assert await self.outbox.set_outcome(video_id, outcome, attempt=1, at=self.clock.now, error=error)  # type: ignore[arg-type]

    async def state_of(self, video_id: str) -> Delivery:
        (found,) = await self.deliveries.of(video_id)
        return found

    async def go_until(self, is_so: Callable[[Sequence[Delivery]], bool], *video_ids: str) -> list[Delivery]:
        """Go rounds until the deliveries of some videos are as they should be."""
        async with asyncio.timeout(WITHIN):
            while True:
                await self.courier.go_round()
                found = [each for name in video_ids for each in await self.deliveries.of(name)]
                if len(found) >= len(video_ids) and is_so(found):
                    return found
                await asyncio.sleep(0.02)


def is_over(found: Sequence[Delivery]) -> bool:
    return all(each.state != "waiting" for each in found)


def has_tried(times: int) -> Callable[[Sequence[Delivery]], bool]:
    return lambda found: all(len(each.tries) >= times for each in found)


@asynccontextmanager
async def open_post(mongo: Mongo, clock: Clock, name: str, **resolving: object) -> AsyncIterator[Post]:
    videos, commands, kept = (mongo.collection("kadr_test", f"{name}-{part}") for part in "vcd")
    outbox = VideoOutbox(videos=videos, commands=commands, lease=timedelta(seconds=60), now=clock)
    deliveries = WebhookDeliveries(kept, now=clock)
    await outbox.prepare()
    await deliveries.prepare()
    reach = Reach(["127.0.0.1", "127.0.1.0/24"])
    async with (
        open_receivers(reach, **resolving) as receivers,  # type: ignore[arg-type]
        ending(
            Courier(
                outbox=outbox,
                deliveries=deliveries,
                receivers=receivers,
                signer=Signer([WHSEC]),
                dice=lambda: 0.0,
            )
        ) as courier,
    ):
        yield Post(outbox, deliveries, courier, clock)


@pytest.fixture
async def post(mongo: Mongo, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Post]:
    caplog.set_level(logging.INFO)
    async with open_post(mongo, Clock(), uuid4().hex) as opened:
        yield opened


async def test_a_message_says_what_came_of_the_video_and_where_to_find_it(post: Post) -> None:
    async with open_receiver() as receiver:
        await post.end("a", receiver.url)
        await post.end("b", receiver.url, failure("not_a_video"))
        await post.end("c", receiver.url, Failure("cancelled", "It was cancelled."))
        await post.go_until(is_over, "a", "b", "c")
    found = {json.loads(body)["data"]["id"]: json.loads(body) for body in bodies(receiver.received)}
    assert {name: each["type"] for name, each in found.items()} == {
        "a": "video.ready",
        "b": "video.failed",
        "c": "video.cancelled",
    }
    assert found["a"]["timestamp"] == "2026-01-01T00:00:00.000Z"
    data = found["a"]["data"]
    assert (data["status"], data["filename"], data["error"]) == ("ready", "a.mp4", None)
    assert data["links"]["result"] == "/api/result_video/a"
    assert found["b"]["data"]["error"]["code"] == "not_a_video"
    assert "prediction" not in str(found)
    (got,) = [each for each in receiver.received if json.loads(each.body)["data"]["id"] == "a"]
    assert got.headers["content-type"] == "application/json"
    assert got.headers["webhook-id"] == (await post.state_of("a")).id


async def test_a_receiver_that_fails_gets_the_same_message_again_after_5_seconds(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_receiver(answer("500 Internal Server Error", b"oh"), OK) as receiver:
        await post.end("a", receiver.url)
        (waiting,) = await post.go_until(has_tried(1), "a")
        assert waiting.due_at == post.clock.now + timedelta(seconds=5)
        assert [(each.status, each.text) for each in waiting.tries] == [(500, "oh")]
        post.clock.pass_by(timedelta(seconds=4))
        await post.courier.go_round()
        assert (await post.state_of("a")).trying_since is None
        post.clock.pass_by(timedelta(seconds=1))
        (over,) = await post.go_until(is_over, "a")
    one, two = receiver.received
    assert one.body == two.body
    assert one.headers["webhook-id"] == two.headers["webhook-id"]
    assert int(two.headers["webhook-timestamp"]) - int(one.headers["webhook-timestamp"]) == 5
    assert one.headers["webhook-signature"] != two.headers["webhook-signature"]
    assert (over.state, [each.status for each in over.tries]) == ("delivered", [500, 200])
    assert [each.message for each in caplog.records if "webhook" in each.message] == ["webhook delivered"]


async def test_a_receiver_that_stays_away_is_given_up_after_ten_tries_and_said_so_once(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_receiver() as gone:
        pass
    await post.end("a", gone.url)
    begun = post.clock.now
    for tries in range(1, 11):
        (found,) = await post.go_until(has_tried(tries), "a")
        post.clock.now = max(post.clock.now, found.due_at)
    assert (found.state, len(found.tries)) == ("failed", 10)
    assert timedelta(days=3) < post.clock.now - begun < timedelta(days=4)
    post.clock.pass_by(timedelta(days=9))
    await post.courier.go_round()
    assert len((await post.state_of("a")).tries) == 10
    (said,) = [each for each in caplog.records if each.message == "webhook given up"]
    assert said.__dict__["video_id"] == "a"
    assert said.__dict__["tries"] == 10


async def test_a_receiver_that_is_gone_for_good_is_not_asked_again(post: Post) -> None:
    async with open_receiver(answer("410 Gone")) as receiver:
        await post.end("a", receiver.url)
        (found,) = await post.go_until(is_over, "a")
        post.clock.pass_by(timedelta(days=9))
        await post.courier.go_round()
    assert (found.state, len(receiver.received)) == ("failed", 1)


async def test_a_receiver_that_asks_for_time_gets_it(post: Post) -> None:
    async with open_receiver(answer("429 Too Many Requests", Retry_After="600"), OK) as receiver:
        await post.end("a", receiver.url)
        (found,) = await post.go_until(has_tried(1), "a")
    assert found.due_at == post.clock.now + timedelta(seconds=600)


async def test_a_redirect_to_a_private_address_is_a_failed_try(post: Post) -> None:
    async with (
        open_receiver(address="127.0.0.2") as private,
        open_receiver(redirect(private.url)) as receiver,
    ):
        await post.end("a", receiver.url)
        (found,) = await post.go_until(has_tried(1), "a")
    assert [each.error for each in found.tries] == ["It is at an address that is not public."]
    assert (found.state, private.connections) == ("waiting", 0)


async def test_a_receiver_that_is_slow_holds_up_nobody_else_and_gets_two_at_a_time(post: Post) -> None:
    names = [f"slow{number}" for number in range(20)]
    async with AsyncExitStack() as stack:
        slow = await stack.enter_async_context(open_receiver(None))
        for name in names:
            await post.end(name, slow.url)
        await post.courier.go_round()
        others = [
            await stack.enter_async_context(open_receiver(address=f"127.0.1.{number}"))
            for number in range(1, 6)
        ]
        for number, other in enumerate(others):
            await post.end(f"quick{number}", other.url)
        await post.go_until(is_over, *(f"quick{number}" for number in range(5)))
        assert slow.at_once == PER_HOST
        assert [(await post.state_of(name)).state for name in names] == ["waiting"] * 20
        slow.answers = [OK]
        slow.released.set()
        await post.go_until(is_over, *names)
    assert slow.at_once == PER_HOST


async def test_a_receiver_that_is_quick_need_not_wait_for_rounds(post: Post) -> None:
    async with open_receiver() as receiver:
        for number in range(30):
            await post.end(f"video{number}", receiver.url)
        await post.courier.go_round()
        await receiver.wait_for(30, WITHIN)
        assert receiver.at_once <= PER_HOST


async def test_two_processes_deliver_each_message_once(mongo: Mongo) -> None:
    name, clock = uuid4().hex, Clock()
    names = [f"video{number}" for number in range(20)]
    async with (
        open_receiver() as receiver,
        open_post(mongo, clock, name) as one,
        open_post(mongo, clock, name) as other,
    ):
        for each in names:
            await one.end(each, receiver.url)
        await asyncio.gather(one.go_until(is_over, *names), other.go_until(is_over, *names))
    ids = [each.headers["webhook-id"] for each in receiver.received]
    assert len(ids) == len(set(ids)) == 20


async def test_a_try_that_is_broken_off_is_made_again_when_the_claim_ends(post: Post) -> None:
    async with open_receiver(None, OK) as receiver:
        await post.end("a", receiver.url)
        await post.courier.go_round()
        await receiver.wait_for(1, WITHIN)
        await post.courier.stop()
        assert (await post.state_of("a")).trying_since is not None
        post.clock.pass_by(LEASE)
        (found,) = await post.go_until(is_over, "a")
    one, two = receiver.received
    assert one.headers["webhook-id"] == two.headers["webhook-id"]
    assert (found.state, found.count) == ("delivered", 2)


async def test_of_a_video_that_is_deleted_meanwhile_nobody_is_told(post: Post) -> None:
    async with open_receiver(answer("500 Internal Server Error"), OK) as receiver:
        await post.end("a", receiver.url)
        await post.go_until(has_tried(1), "a")
        await post.outbox.delete_one("a")
        post.clock.pass_by(timedelta(seconds=5))
        async with asyncio.timeout(WITHIN):
            while await post.deliveries.of("a"):
                await post.courier.go_round()
                await asyncio.sleep(0.02)
    assert len(receiver.received) == 1


@pytest.mark.usefixtures("expects_errors")
async def test_a_mistake_of_ours_ends_the_rounds(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.webhooks.courier.next_step", None)
    async with open_receiver() as receiver:
        await post.end("a", receiver.url)
        with pytest.raises(TypeError):
            await post.go_until(is_over, "a")
