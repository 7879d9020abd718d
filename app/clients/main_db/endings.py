"""How a video ends: the one guarded update that says what came of it, and makes its webhook due.

Whoever learns of an end calls `end`. What is to be told stands in the video's own document from the same
moment, under `webhook.due`, until it has become a delivery; so none is missed, and none is due twice.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import msgspec

from app.clients.main_db.video_records import Video, to_video
from app.clients.mongo import Document, Documents, Filter
from app.domain.messages import Failure
from app.domain.states import Outcome
from app.telemetry.metrics import VIDEOS_ENDED, known_code

EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Before every end; a comparison with a time is answered by the index of those that there are."""


@dataclass(frozen=True)
class Ending:
    """An end that somebody is to be told of.

    Attributes:
        id: of the event, for ever.
        outcome: what came of the video.
        at: when.
        error: why it failed, where it did.
    """

    id: str
    outcome: Outcome
    at: datetime
    error: Failure | None = None


async def end(
    videos: Documents,
    match: Filter,
    outcome: Outcome,
    *,
    at: datetime,
    error: Failure | None = None,
    fields: Filter | None = None,
    without: Iterable[str] = (),
) -> bool:
    """Note what came of a video, if it is still as it should be; return whether it was.

    Args:
        videos: the collection `outbox`.
        match: the video, and what must be so; the outcome that it has must be among it.
        outcome: what came of it.
        at: when.
        error: why it failed.
        fields: what else is set.
        without: fields that go.
    """
    facts: Document = {"outcome": outcome, "outcome_at": at} | dict(fields or {})
    ending: Document = {"id": f"msg_{uuid4().hex}", "outcome": outcome, "at": at}
    gone = set(without)
    if error is not None:
        facts["error"] = ending["error"] = msgspec.to_builtins(error)
    else:
        gone.add("error")
    change: dict[str, Any] = {"$set": facts}
    if gone:
        change["$unset"] = dict.fromkeys(sorted(gone), "")
    # Two updates that exclude each other: a webhook is given when a video is accepted, and then for good.
    is_noted = await videos.update({**match, "webhook": None}, change)
    if not is_noted:
        told = change | {"$push": {"webhook.due": ending}}
        is_noted = await videos.update({**match, "webhook": {"$ne": None}}, told)
    if is_noted:
        VIDEOS_ENDED.labels(outcome, "" if error is None else known_code(error.code)).inc()
    return is_noted


class Endings:
    """The ends that somebody is to be told of. Every method raises `Unavailable` when Mongo does not answer.

    Args:
        videos: the collection `outbox`.
    """

    def __init__(self, videos: Documents) -> None:
        self._videos = videos

    async def prepare(self) -> None:
        """Create the index: only what is due is in it."""
        there = {"webhook.due.at": {"$exists": True}}
        await self._videos.ensure_index([("webhook.due.at", 1)], partial=there)

    async def due(self, *, limit: int) -> list[tuple[Video, list[Ending]]]:
        """Return videos with ends that have not become deliveries yet, oldest first."""
        match = {"webhook.due.at": {"$gt": EVER}, "deleted_at": None}
        found = await self._videos.find(match, sort=[("webhook.due.at", 1)], limit=limit)
        return [
            (to_video(document), [_to_ending(each) for each in document["webhook"]["due"]])
            for document in found
        ]

    async def settle(self, video_id: str, ending: Ending) -> None:
        """Note that an end has become a delivery."""
        await self._videos.update({"_id": video_id}, {"$pull": {"webhook.due": {"id": ending.id}}})


def _to_ending(found: Document) -> Ending:
    error = found.get("error")
    return Ending(
        found["id"], found["outcome"], found["at"], msgspec.convert(error, Failure) if error else None
    )
