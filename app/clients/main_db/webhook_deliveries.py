"""Messages to receivers, and what came of each try: `main_db.webhook_deliveries`.

waiting ──> delivered
   │  └───> failed          (410, or no try is left)
   └── to `waiting` again, at any time, when somebody asks for that

A claim is a guarded update that moves the time at which a delivery is due: who dies with it loses it then.
Hosts take turns, so that nobody waits behind the messages to a receiver that is slow.
"""

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from app.clients.mongo import Document, Documents, Mongo
from app.domain.webhooks import Next, State

DATABASE: Final = "main_db"

LEASE: Final = timedelta(seconds=60)
"""How long a claim holds: a try takes 15 s at most (`app.clients.http.receivers`), and Mongo a few."""

TRIES_KEPT: Final = 20
"""Tries that are listed, the last ones: two rounds of ten."""

SPARE: Final = 4
"""Looked at beyond what is wanted: others claim the oldest at the same moment."""

LISTED: Final = 100
"""Deliveries in one answer. A video has one for each attempt that ended."""


@dataclass(frozen=True)
class Try:
    """One try.

    Attributes:
        at: when it began.
        seconds: how long it took.
        status: of the answer; None where there was none.
        error: why there was none.
        text: how the answer's body begins.
    """

    at: datetime
    seconds: float
    status: int | None = None
    error: str | None = None
    text: str = ""


@dataclass(frozen=True)
class Delivery:
    """A message to a receiver.

    Attributes:
        id: of the event; what `webhook-id` says at every try.
        type: such as `video.ready`.
        host: of the receiver, with its port; who takes turns with whom.
        body: what is sent, the same bytes at every try.
        due_at: when the next try is; during a try, when the claim on it ends.
        count: how many tries have begun, since it was asked for again where it was.
        trying_since: when the try began that is under way.
    """

    id: str
    video_id: str
    owner: str | None
    type: str
    url: str
    host: str
    body: str
    created_at: datetime
    due_at: datetime
    state: State = "waiting"
    count: int = 0
    trying_since: datetime | None = None
    ended_at: datetime | None = None
    tries: list[Try] = field(default_factory=list)


def _now() -> datetime:
    return datetime.now(UTC)


class WebhookDeliveries:
    """The deliveries. Every method raises `Unavailable` when Mongo does not answer.

    Args:
        deliveries: the collection `webhook_deliveries`.
        now: the clock.
    """

    def __init__(self, deliveries: Documents, *, now: Callable[[], datetime] = _now) -> None:
        self._deliveries = deliveries
        self._clock = now

    def now(self) -> datetime:
        """Return the time as Mongo keeps it, in whole milliseconds, so that what we wrote is what we find."""
        now = self._clock()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    async def prepare(self) -> None:
        """Create the indexes: one for each question below."""
        await self._deliveries.ensure_index([("state", 1), ("host", 1), ("due_at", 1)])
        await self._deliveries.ensure_index([("video_id", 1), ("created_at", -1)])
        await self._deliveries.ensure_index([("state", 1), ("created_at", -1)])
        await self._deliveries.ensure_index([("owner", 1), ("state", 1), ("created_at", -1)])

    async def add(self, delivery: Delivery) -> bool:
        """Add a delivery; return False when it was there."""
        document = asdict(delivery)
        document["_id"] = document.pop("id")
        return await self._deliveries.insert_missing([document]) == 1

    # Who carries them

    async def next_host(self, after: str) -> str | None:
        """Return the next host for which something is due, in the order of their names."""
        match = {"state": "waiting", "host": {"$gt": after}, "due_at": {"$lte": self.now()}}
        found = await self._deliveries.find(match, projection=["host"], sort=[("host", 1)], limit=1)
        return found[0]["host"] if found else None

    async def take(self, host: str, *, limit: int) -> list[Delivery]:
        """Claim what is due for a host, longest first."""
        now = self.now()
        match = {"state": "waiting", "host": host, "due_at": {"$lte": now}}
        taken: list[Delivery] = []
        for found in await self._deliveries.find(match, sort=[("due_at", 1)], limit=limit + SPARE):
            if len(taken) == limit:
                break
            seen = {"_id": found["_id"], "state": "waiting", "due_at": found["due_at"]}
            change = {"$set": {"due_at": now + LEASE, "trying_since": now}, "$inc": {"count": 1}}
            if document := await self._deliveries.update_and_get(seen, change):
                taken.append(_to_delivery(document))
        return taken

    async def note(self, claimed: Delivery, made: Try, following: Next) -> bool:
        """Note what came of a try; return False when the claim was over."""
        now = self.now()
        fields: dict[str, Any] = {
            "state": following.state,
            "trying_since": None,
            "tries": [asdict(each) for each in (*claimed.tries, made)][-TRIES_KEPT:],
            "due_at": now + (following.pause or timedelta()),
            "ended_at": None if following.pause else now,
        }
        held = {"_id": claimed.id, "state": "waiting", "due_at": claimed.due_at}
        return await self._deliveries.update(held, {"$set": fields})

    async def forget(self, video_id: str) -> None:
        """Remove the deliveries of a video."""
        await self._deliveries.delete({"video_id": video_id})

    async def awaited(self, video_ids: Collection[str]) -> set[str]:
        """Return those of these videos of which a delivery is still to be tried."""
        if not video_ids:
            return set()
        match = {"video_id": {"$in": list(video_ids)}, "state": "waiting"}
        return {each["video_id"] for each in await self._deliveries.find(match, projection=["video_id"])}

    # What clients ask for

    async def of(self, video_id: str) -> list[Delivery]:
        """Return the deliveries of a video, newest first."""
        found = await self._deliveries.find({"video_id": video_id}, sort=[("created_at", -1)], limit=LISTED)
        return [_to_delivery(document) for document in found]

    async def get(self, video_id: str, delivery_id: str) -> Delivery | None:
        """Return a delivery of a video."""
        found = await self._deliveries.find_one({"_id": delivery_id, "video_id": video_id})
        return _to_delivery(found) if found else None

    async def again(self, video_id: str, delivery_id: str) -> Delivery | None:
        """Let a delivery be due at once, with all its tries; None when one is under way, or there is none."""
        match = {"_id": delivery_id, "video_id": video_id, "trying_since": None}
        fields = {"state": "waiting", "due_at": self.now(), "count": 0, "ended_at": None}
        found = await self._deliveries.update_and_get(match, {"$set": fields})
        return _to_delivery(found) if found else None

    async def in_state(self, state: State, *, owner: str | None, limit: int) -> list[Delivery]:
        """Return deliveries in a state, newest first; of this owner's videos where one is named."""
        match: Document = {"state": state} if owner is None else {"owner": owner, "state": state}
        found = await self._deliveries.find(match, sort=[("created_at", -1)], limit=limit)
        return [_to_delivery(document) for document in found]


def webhook_deliveries(mongo: Mongo) -> WebhookDeliveries:
    """Return the deliveries in this server."""
    return WebhookDeliveries(mongo.collection(DATABASE, "webhook_deliveries"))


def _to_delivery(document: Document) -> Delivery:
    facts = {name: value for name, value in document.items() if name not in {"_id", "tries"}}
    return Delivery(id=document["_id"], tries=[Try(**each) for each in document["tries"]], **facts)
