"""Videos in every state, as an API shows them that stands alone: in Mongo and S3, and told of by a runner."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import uuid4

from app.clients.main_db.video_outbox import VideoOutbox, video_outbox
from app.clients.mongo import Mongo, open_mongo
from app.domain.failures import failure
from app.settings import Settings
from tests.support.clock import Clock
from tests.support.runner_stand_in import RunnerStandIn

Wanted = Literal["queued", "waiting", "processing", "ready", "failed", "cancelled"]


@dataclass
class ListedVideos:
    """Puts videos into the list of an API.

    Attributes:
        servers: lead to its Mongo.
        runner: tells how far they are.
    """

    servers: Settings
    runner: RunnerStandIn
    ids: list[str] = field(default_factory=list)

    async def add(
        self,
        filename: str,
        state: Wanted,
        *,
        tags: tuple[str, ...] = (),
        ago: timedelta = timedelta(),
        took: timedelta = timedelta(seconds=47),
        code: str = "not_a_video",
        told: Mapping[str, object] | None = None,
    ) -> str:
        """Add a video, and return its id.

        Args:
            filename: as its client has called it.
            state: `waiting` is one that the runner has, and has not begun.
            tags: of the video.
            ago: since when it is there.
            took: until it ended.
            code: why it failed.
            told: of its progress, by the runner.
        """
        video_id = str(uuid4())
        self.ids.append(video_id)
        async with open_mongo(self.servers.mongo_uri) as mongo:
            outbox = _outbox_at(mongo, self.servers, datetime.now(UTC) - ago)
            await outbox.accept(
                video_id=video_id,
                bucket="videos",
                object_name=f"input/{video_id}.mp4",
                input_owned=False,
                filename=filename,
                tags=tags,
            )
            await self._bring(outbox, video_id, state, datetime.now(UTC) - ago + took, code)
        if state == "waiting":
            self.runner.tell(video_id, **{"stage": "queued", "queue_position": 1, **(told or {})})
        elif state == "processing":
            self.runner.tell(video_id, **(told or {}))
        return video_id

    async def _bring(
        self, outbox: VideoOutbox, video_id: str, state: Wanted, at: datetime, code: str
    ) -> None:
        if state == "queued":
            return
        await outbox._videos.update({"_id": video_id}, {"$set": {"status": "sent", "sent_at": at}})
        if state == "ready":
            await outbox.set_outcome(video_id, "ready", attempt=1, at=at)
        elif state == "failed":
            await outbox.set_outcome(video_id, "failed", attempt=1, at=at, error=failure(code))
        elif state == "cancelled":
            video = await outbox.get(video_id)
            assert video is not None
            await outbox.withdrawals.cancel(video)

    async def add_many(self, count: int) -> None:
        """Add videos that are ready, `clip-0000.mp4` and so on, a second after each other."""
        now = datetime.now(UTC)
        documents = [
            {
                "_id": str(uuid4()),
                "status": "sent",
                "payload": {"bucket": "videos", "object": "a.mp4", "media_type": "video"},
                "attempt": 1,
                "input_owned": False,
                "created_at": now - timedelta(seconds=count - at),
                "outcome": "ready",
                "outcome_at": now,
                "filename": f"clip-{at:04}.mp4",
            }
            for at in range(count)
        ]
        async with open_mongo(self.servers.mongo_uri) as mongo:
            await mongo.collection("main_db", "outbox").insert_missing(documents)

    async def finish(self, video_id: str) -> None:
        """Let a video be ready."""
        async with open_mongo(self.servers.mongo_uri) as mongo:
            outbox = video_outbox(mongo, self.servers)
            assert await outbox.set_outcome(video_id, "ready", attempt=1, at=datetime.now(UTC))

    async def delete(self, video_id: str) -> None:
        """Delete a video, as somebody else would."""
        async with open_mongo(self.servers.mongo_uri) as mongo:
            assert await video_outbox(mongo, self.servers).delete_one(video_id)

    async def clear(self) -> None:
        """Forget every video."""
        async with open_mongo(self.servers.mongo_uri) as mongo:
            for name in ("outbox", "commands", "idempotency"):
                await mongo.collection("main_db", name).delete({})
        self.runner.progress.clear()
        self.ids.clear()


def _outbox_at(mongo: Mongo, servers: Settings, moment: datetime) -> VideoOutbox:
    clock = Clock()
    clock.now = moment
    outbox = video_outbox(mongo, servers)
    return VideoOutbox(
        videos=outbox._videos,
        commands=mongo.collection("main_db", "commands"),
        lease=servers.outbox_lease,
        now=clock,
    )
