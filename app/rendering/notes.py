"""What S3 says of a rendering that is not there (yet): every API and every runner reads the same."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import msgspec

from app.clients.s3.storage import Storage
from app.domain.messages import Failure
from app.domain.objects import (
    OURS,
)
from app.domain.renderings import (
    FAILED_FOR,
    LEASE,
    RenderingAsked,
    RenderingState,
    read_state,
    rendering_object,
    state_object,
)
from app.errors import Missing

IsDeleted = Callable[[str], Awaitable[bool]]


def _now() -> datetime:
    return datetime.now(UTC)


class Notes:
    """Reads and writes these notes; of a deleted video nothing is left.

    Args:
        storage: where they are.
        owner: who we are.
        is_deleted: tells whether a video was deleted.
        now: the clock.
    """

    def __init__(
        self,
        storage: Storage,
        owner: str,
        *,
        is_deleted: IsDeleted,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self.is_deleted = is_deleted
        self._storage = storage
        self._owner = owner
        self._now = now

    def queued(self) -> RenderingState:
        """Return what is said of a rendering that waits here."""
        return RenderingState("queued", self._now() + LEASE, owner=self._owner)

    def making(self, done: int, total: int | None) -> RenderingState:
        """Return what is said of a rendering that is being made here."""
        until = self._now() + LEASE
        return RenderingState("making", until, frames_done=done, frames_total=total, owner=self._owner)

    def failed(self, error: Failure) -> RenderingState:
        """Return what is said of a rendering that cannot be made."""
        return RenderingState("failed", self._now() + FAILED_FOR, owner=self._owner, error=error)

    async def read(self, asked: RenderingAsked) -> RenderingState | None:
        """Return what holds of a rendering; None where nothing does."""
        try:
            body = await self._storage.get(asked.bucket, state_object(asked.video_id, asked.kind))
        except Missing:
            return None
        state = read_state(body)
        return state if state and state.holds(self._now()) else None

    async def is_made_elsewhere(self, asked: RenderingAsked) -> bool:
        """Return whether the rendering is there, or another runner makes it."""
        if await self._storage.stat(asked.bucket, rendering_object(asked.video_id, asked.kind)):
            return True
        state = await self.read(asked)
        return state is not None and state.state == "making" and state.owner != self._owner

    async def write(self, asked: RenderingAsked, state: RenderingState) -> bool:
        """Say something of a rendering; return whether its video is still there."""
        name, body = state_object(asked.video_id, asked.kind), msgspec.json.encode(state)
        await self._storage.put(asked.bucket, name, body, content_type="application/json", metadata=OURS)
        return not await self._clear_if_deleted(asked)

    async def finish(self, asked: RenderingAsked) -> bool:
        """Say nothing more: the rendering is there. Return whether its video is still there."""
        await self._storage.delete(asked.bucket, state_object(asked.video_id, asked.kind))
        return not await self._clear_if_deleted(asked)

    async def _clear_if_deleted(self, asked: RenderingAsked) -> bool:
        """A deletion says so before it removes objects: what was written before that, it removes itself."""
        if not await self.is_deleted(asked.video_id):
            return False
        names = [each(asked.video_id, asked.kind) for each in (rendering_object, state_object)]
        await self._storage.delete_many(asked.bucket, names)
        return True
