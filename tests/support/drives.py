"""Everything that the clients of `main_db` ask, asked of collections that keep it."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final

from app.clients.main_db.api_keys import ApiKeys
from app.clients.main_db.claims import Claims
from app.clients.main_db.direct_uploads import DirectUpload, DirectUploads
from app.clients.main_db.endings import Endings
from app.clients.main_db.idempotency import Hold, IdempotencyKeys, KeyHeld, Recorded
from app.clients.main_db.key_usage import KeyUsage
from app.clients.main_db.retirements import Retirements
from app.clients.main_db.sessions import Sessions
from app.clients.main_db.video_outbox import VideoOutbox, Wanted
from app.clients.main_db.video_pages import VideoPages
from app.clients.main_db.webhook_deliveries import Delivery, Try, WebhookDeliveries
from app.clients.main_db.withdrawals import Withdrawals
from app.domain.api_keys import ApiKey, Quotas
from app.domain.failures import failure
from app.domain.states import STATES
from app.domain.webhooks import Next
from tests.support.clock import Clock
from tests.support.memory_mongo import MemoryDocuments
from tests.support.queries import question_of

NAMES: Final = (
    *("outbox", "commands", "uploads", "api_keys", "api_usage"),
    *("webhook_deliveries", "idempotency", "sessions"),
)

URL: Final = "https://hooks.example.org/kadr"


@dataclass
class Clients:
    """Every client of `main_db`, on collections that keep what they are asked."""

    clock: Clock = field(default_factory=Clock)
    collections: dict[str, MemoryDocuments] = field(
        default_factory=lambda: {name: MemoryDocuments() for name in NAMES}
    )

    def __post_init__(self) -> None:
        videos, commands, uploads, keys, usage, deliveries, used_keys, sessions = (
            self.collections[name] for name in NAMES
        )
        lease = timedelta(seconds=60)
        self.outbox = VideoOutbox(videos=videos, commands=commands, lease=lease, now=self.clock)
        self.uploads = DirectUploads(uploads, now=self.clock)
        self.keys = ApiKeys(keys, now=self.clock)
        self.usage = KeyUsage(usage, self.outbox, now=self.clock)
        self.deliveries = WebhookDeliveries(deliveries, now=self.clock)
        self.used_keys = IdempotencyKeys(used_keys, now=self.clock)
        self.sessions = Sessions(sessions, now=self.clock)

    async def accept(self, video_id: str, *, webhook: str | None = None) -> None:
        """Accept a video of `me`."""
        await self.outbox.accept(
            video_id=video_id,
            bucket="videos",
            object_name="a.mp4",
            input_owned=True,
            owner="me",
            webhook=webhook,
        )

    async def key(self) -> ApiKey:
        """Return a new key."""
        made, _ = await self.keys.create("test", ["submit"], Quotas(max_waiting=9, bytes_per_day=9))
        return made

    def upload(self) -> DirectUpload:
        """Return a direct upload of `me`."""
        now = self.clock.now
        return DirectUpload("u", "videos", 1, None, None, 1, "me", now, now + timedelta(hours=1))


Drive = Callable[[Clients], Awaitable[Any]]


async def drive_outbox(made: Clients) -> None:
    """Ask everything, with an owner and without, at the first page and after it."""
    outbox, now = made.outbox, made.clock.now
    await made.accept("a")
    await made.accept("b")
    place = (now, "b")
    for owner in (None, "me"):
        await outbox.get("a", owner=owner)
        await outbox.newest(limit=1, owner=owner)
        await outbox.newest(limit=1, after=place, owner=owner)
        await outbox.total(owner=owner)
        for states in ((), STATES[:2], STATES[2:]):
            for tags in ((), ("x", "y")):
                for after in (None, place):
                    wanted = Wanted(frozenset(states), tags, now - timedelta(1), now, owner)
                    await outbox.pages.page(wanted, limit=9, after=after)
                    await outbox.pages.page(
                        Wanted(frozenset(states), tags, owner=owner), limit=9, after=after
                    )
    await outbox.is_known("a")
    await outbox.is_deleted("a")
    await outbox.known(["a"])
    await outbox.settled(["a", "a/2"])
    await outbox.unfinished_of("me", limit=9)
    await outbox.waiting()
    for claimed in await outbox.claims.take():
        made.clock.pass_by(timedelta(seconds=1))
        held = await outbox.claims.renew(claimed)
        await outbox.claims.note_error(held, "no")
        await outbox.claims.release(held)
        await outbox.claims.refuse(held, failure("rejected"))
        await outbox.claims.mark_sent(held)
        await outbox.claims.mark_redriven(held)
    await outbox.claims.free(["a"])
    await outbox.claims.oldest_new()
    await outbox.claims.take_overdue(timedelta(seconds=1))
    await outbox.without_outcome(limit=9)
    await outbox.without_outcome(limit=9, after=place)
    await outbox.set_outcome("a", "failed", attempt=1, at=now)
    await outbox.set_outcome("a", "ready", attempt=1, at=now)
    for video in (await outbox.newest(limit=9)).videos:
        await outbox.ask_again(video)
    for owner in (None, "me"):
        await outbox.delete_one("a", owner=owner)
    await outbox.delete_all()
    for claimed in await outbox.claims.take():
        await outbox.claims.note_error(claimed, "no")
        await outbox.claims.mark_sent(claimed)
    made.clock.pass_by(timedelta(hours=1))
    await outbox.claims.take_overdue(timedelta(seconds=1))
    for deletion in await outbox.unconfirmed_deletions(limit=9):
        await outbox.delete_again(deletion)
    await outbox.unconfirmed_deletions(limit=9, after=place)
    await outbox.forget("a")


async def drive_withdrawals(made: Clients) -> None:
    """Cancel a video that has not ended, and try it again."""
    outbox, withdrawals = made.outbox, made.outbox.withdrawals
    await outbox.accept(video_id="c", bucket="videos", object_name="c.mp4", input_owned=True)
    video = await outbox.get("c")
    assert video is not None
    cancelled = await withdrawals.cancel(video)
    assert cancelled is not None
    assert await withdrawals.unconfirmed(limit=9) == [cancelled]
    await outbox.claims.free([])
    await withdrawals.remind([cancelled])
    await withdrawals.confirm(cancelled)
    await withdrawals.remind([cancelled])
    await withdrawals.retry(cancelled)


async def drive_retirements(made: Clients) -> None:
    """Delete a video that has ended long ago."""
    outbox, retirements, now = made.outbox, made.outbox.retirements, made.clock.now
    await outbox.accept(video_id="o", bucket="videos", object_name="o.mp4", input_owned=True)
    await outbox.set_outcome("o", "ready", attempt=1, at=now)
    times = {"before": now + timedelta(days=1)}
    assert [each.id for each in await retirements.ended(after=now - timedelta(days=1), **times)] == ["o"]
    assert await retirements.retire(["o"], **times) == 1
    assert await retirements.ask() == 1


async def drive_endings(made: Clients) -> None:
    """End videos of which somebody is told, in every way that a video ends."""
    outbox, endings = made.outbox, made.outbox.endings
    for video_id in ("refused", "failed", "cancelled"):
        await made.accept(video_id, webhook=URL)
    for claimed in await outbox.claims.take():
        if claimed.key == "refused":
            assert await outbox.claims.refuse(claimed, failure("rejected"))
    assert await outbox.set_outcome("failed", "failed", attempt=1, at=made.clock.now)
    assert await outbox.set_outcome("failed", "ready", attempt=1, at=made.clock.now)
    video = await outbox.get("cancelled")
    assert video is not None
    assert await outbox.withdrawals.cancel(video)
    due = await endings.due(limit=9)
    assert sorted(each.outcome for _, ended in due for each in ended) == [
        "cancelled",
        "failed",
        "failed",
        "ready",
    ]
    for told, ended in due:
        for each in ended:
            await endings.settle(told.id, each)
    assert await endings.due(limit=9) == []


async def drive_deliveries(made: Clients) -> None:
    """Deliver a message, and let it be delivered again."""
    deliveries, now = made.deliveries, made.clock.now
    await deliveries.add(
        Delivery("msg", "a", "me", "video.ready", URL, "hooks.example.org", "{}", created_at=now, due_at=now)
    )
    assert await deliveries.next_host("") == "hooks.example.org"
    for claimed in await deliveries.take("hooks.example.org", limit=1):
        assert await deliveries.note(claimed, Try(now, 0.1, 200), Next("delivered"))
    assert await deliveries.of("a")
    assert await deliveries.awaited(["a"]) == set()
    assert await deliveries.get("a", "msg")
    assert await deliveries.again("a", "msg")
    for owner in (None, "me"):
        assert await deliveries.in_state("waiting", owner=owner, limit=9)
    await deliveries.forget("a")


async def drive_used_keys(made: Clients) -> None:
    """Use a key; let one be free again because its lease, its time, its request or its video is over."""
    keys = made.used_keys
    held = await keys.take("k", owner="me")
    assert isinstance(held, Hold)
    with suppress(KeyHeld):
        await keys.take("k", owner="me")
    made.clock.pass_by(timedelta(minutes=1))
    held = await keys.take("k", owner="me")
    assert isinstance(held, Hold)
    recorded = Recorded(held.key, "of the request", {"video_id": "a"})
    await keys.record(held, recorded)
    await keys.settle(held.key, "a")
    assert await keys.take("k", owner="me") == replace(recorded, is_settled=True)
    made.clock.pass_by(timedelta(days=8))
    held = await keys.take("k", owner="me")
    assert isinstance(held, Hold)
    await keys.record(held, recorded)
    await keys.void(recorded)
    held = await keys.take("k", owner="me")
    assert isinstance(held, Hold)
    with suppress(TimeoutError):
        async with keys.holding(held):
            raise TimeoutError
    await keys.take("k", owner=None)
    made.clock.pass_by(timedelta(days=8))
    assert await keys.forget_expired() == 1


async def drive_sessions(made: Clients) -> None:
    """Begin sessions; one is ended, one is over."""
    token = await made.sessions.begin("key")
    assert await made.sessions.key_of(token) == "key"
    await made.sessions.end(token)
    await made.sessions.begin("key")
    made.clock.pass_by(timedelta(days=8))
    assert await made.sessions.forget_expired() == 1


async def drive_uploads(made: Clients) -> None:
    """Begin an upload, and end it in every way."""
    uploads, upload = made.uploads, made.upload()
    await uploads.begin(upload)
    for owner in (None, "me"):
        await uploads.get("u", owner=owner)
    await uploads.pending_of("me")
    await uploads.renew("u")
    await uploads.hold(upload)
    await uploads.release("u")
    await uploads.abort("u")
    await uploads.refuse("u")
    await uploads.expire("u")
    await uploads.expired(limit=9)
    await uploads.forget("u")


async def drive_keys(made: Clients) -> None:
    """Make a key, use it and revoke it."""
    key = await made.key()
    await made.keys.get(key.id)
    await made.keys.all()
    await made.keys.note_use(key)
    await made.keys.revoke(key.id)


async def drive_usage(made: Clients) -> None:
    """Charge a key for one video, and for another."""
    key = await made.key()
    for video_id in ("a", "b"):
        await made.usage.charge(key, video_id, 1)
    await made.usage.room(key)
    await made.usage.check_pending(key, videos=1, size=1)


DRIVES: Final[dict[type, Drive]] = {
    VideoOutbox: drive_outbox,
    VideoPages: drive_outbox,
    Claims: drive_outbox,
    Withdrawals: drive_withdrawals,
    Retirements: drive_retirements,
    Endings: drive_endings,
    DirectUploads: drive_uploads,
    ApiKeys: drive_keys,
    KeyUsage: drive_usage,
    WebhookDeliveries: drive_deliveries,
    IdempotencyKeys: drive_used_keys,
    Sessions: drive_sessions,
}


async def everything_asked(made: Clients) -> set[tuple[str, str, str]]:
    """Return the questions of all drives, in the table's words."""
    for drive in dict.fromkeys(DRIVES.values()):
        await drive(made)
    return {
        question_of(name, each) for name, documents in made.collections.items() for each in documents.asked
    }
