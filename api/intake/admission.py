"""A video comes in: it is charged to the key that brings it, and recorded."""

import logging
import time
from dataclasses import dataclass

from api.access.keys import Caller
from api.dependencies import Services
from api.measures import request_began
from app.clients.main_db.key_usage import OverQuota
from app.clients.main_db.video_outbox import Video
from app.clients.s3.storage import TooLarge
from app.domain.messages import Options
from app.domain.objects import video_of
from app.errors import Conflict, RetryLater
from app.telemetry.metrics import VIDEOS_ACCEPTED
from app.telemetry.tracing import span

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class NewVideo:
    """A video that is to be looked at, made only of what a document keeps.

    Attributes:
        size: bytes that are charged to the caller's key.
        input_owned: whether the object is ours, and goes with the video.
        owner: id of the key whose video it will be.
        media_type: as it was asked for.
        filename: what is kept of the client's name.
        options: what is chosen for it; None where nothing was.
        webhook: address that is told what came of it.
    """

    video_id: str
    bucket: str
    object: str
    size: int
    input_owned: bool
    owner: str | None
    media_type: str = "video"
    filename: str | None = None
    options: Options | None = None
    tags: tuple[str, ...] = ()
    webhook: str | None = None


async def upload_limit(services: Services, caller: Caller) -> int:
    """Return how many bytes the caller may upload now.

    Raises:
        OverQuota: none at all.
    """
    room = await services.usage.room(caller.key)
    most = services.settings.max_upload_bytes
    return most if room is None else min(most, room)


def refusal_of(services: Services, caller: Caller, limit: int) -> TooLarge | OverQuota:
    """Return the error for an upload of more than the limit that `upload_limit` has named."""
    if caller.key is None or limit >= services.settings.max_upload_bytes:
        return TooLarge(limit)
    return services.usage.too_many_bytes(caller.key)


async def admit(services: Services, caller: Caller, new: NewVideo) -> Video:
    """Charge a video to the caller's key and record it; the same one twice is recorded once.

    Raises:
        OverQuota: the key has used what it may.
        Conflict: it was recorded before, and deleted since.
    """
    await services.usage.charge(caller.key, new.video_id, new.size)
    return await accept(services, new)


async def accept(services: Services, new: NewVideo) -> Video:
    """Record a video that has been charged, so that it will be looked at.

    When Mongo does not answer, the document may be there all the same: so the object stays. If it is not, a
    sweep removes the object a day later.

    Raises:
        Conflict: as above.
    """
    try:
        return await services.outbox.accept(
            video_id=new.video_id,
            bucket=new.bucket,
            object_name=new.object,
            input_owned=new.input_owned,
            media_type=new.media_type,
            options=new.options,
            filename=new.filename,
            owner=new.owner,
            tags=new.tags,
            webhook=new.webhook or services.settings.webhook_url or None,
        )
    except Conflict:  # the driver has repeated an insert that Mongo had done, or another process was faster
        video = await services.outbox.get(new.video_id)
        if video is None:
            raise
        return video


def announce(services: Services, video_id: str) -> None:
    """Say that there is a new video."""
    services.waker.wake()
    VIDEOS_ACCEPTED.inc()
    span("submit", video_id, request_began(), time.time(), is_root=True)
    logger.info("video state changed", extra={"video_id": video_id, "state": "new"})


async def drop(services: Services, bucket: str, name: str) -> None:
    """Remove an upload that is not admitted."""
    try:
        await services.storage.delete(bucket, name)
    except RetryLater as error:  # a sweep removes it a day later
        fields = {"video_id": video_of(name), "object": name, "cause": str(error)}
        logger.info("upload not removed", extra=fields)
