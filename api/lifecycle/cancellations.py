"""A video is cancelled, or tried again; and the pipeline has to say that a cancelled one is at rest.

What holds is decided by one guarded update of the video's document (`app.clients.main_db.withdrawals`).
Before that S3 is asked whether the video has ended already: what was there first wins.
"""

import logging
from contextlib import suppress
from typing import Final

from api.access.keys import Caller
from api.dependencies import Services
from api.lifecycle.outcomes import Outcomes
from api.problems import UnknownVideo
from app.clients.main_db.video_outbox import Video, VideoOutbox
from app.domain.objects import (
    failed_object,
)
from app.errors import Conflict, RetryLater

logger = logging.getLogger(__name__)

PER_ROUND: Final = 100
"""Videos per round. A round is five seconds, and each costs two questions to S3 at most."""

TRIES: Final = 3
"""Others may change the video between our look and our update; each time it gets further."""


class WrongState(Conflict):
    """The video is where it cannot be done.

    Args:
        code: for programs.
        video: as it is.
        reason: a sentence.
    """

    def __init__(self, code: str, video: Video, reason: str) -> None:
        self.code = code
        self.video_status = video.state
        self.reason = reason
        super().__init__(reason)


async def cancel(services: Services, caller: Caller, video_id: str) -> Video:
    """Make a video cancelled; one that is cancelled already stays so.

    Raises:
        UnknownVideo: there is none, or it is somebody else's.
        WrongState: it is ready, or has failed.
    """
    withdrawals = services.outbox.withdrawals
    video = await _known(services, caller, video_id)
    if video.outcome is None:
        with suppress(RetryLater):  # without S3 nobody has seen an end
            await services.outcomes.look_at(video)
    for _ in range(TRIES):
        video = await _known(services, caller, video_id)
        if video.outcome == "cancelled":
            await withdrawals.remind([video] if video.unconfirmed else [])
            return video
        if video.outcome is not None:
            reason = f"The video is {video.outcome} already; there is nothing to cancel."
            raise WrongState("already_ended", video, reason)
        if cancelled := await withdrawals.cancel(video):
            services.waker.wake()
            _log(video, "cancelled")
            return cancelled
    raise Conflict(video_id)


async def retry(services: Services, caller: Caller, video_id: str) -> Video:
    """Begin another attempt at a video that failed or was cancelled; it counts as one that waits.

    Raises:
        UnknownVideo: there is none, or it is somebody else's.
        WrongState: it is ready, or has not ended.
        OverQuota: the caller's key has as many videos waiting as it may.
        Unavailable: S3 or Mongo does not answer.
    """
    video = await _known(services, caller, video_id)
    if video.outcome in (None, "failed"):
        await services.outcomes.look_at(video)  # a result wins over a failure
        video = await _known(services, caller, video_id)
    if video.outcome == "ready":
        raise WrongState("already_ready", video, "The video is ready; there is nothing to try again.")
    if video.outcome is None:
        raise WrongState("not_ended", video, "The video has not ended; cancel it before you try it again.")
    await services.usage.charge(caller.key, f"{video.id}/{video.attempt + 1}", 0)
    if not video.unconfirmed:  # else it is still to be written, and says of which attempt it is
        await services.storage.delete(video.bucket, failed_object(video.id))
    retried = await services.outbox.withdrawals.retry(video)
    if retried is None:
        raise WrongState("not_ended", await _known(services, caller, video_id), "Somebody was faster.")
    services.waker.wake()
    _log(video, "new")
    return retried


class Cancellations:
    """Looks whether cancelled videos are at rest, and reminds the pipeline of those that nobody told it of.

    Args:
        outcomes: sees what lies in S3.
        outbox: knows what was cancelled.
    """

    def __init__(self, outcomes: Outcomes, outbox: VideoOutbox) -> None:
        self._outcomes = outcomes
        self._outbox = outbox
        self._after = ""

    async def look_at_some(self) -> None:
        """Look the next ones up; each call goes on where the last one stopped."""
        withdrawals = self._outbox.withdrawals
        videos = await withdrawals.unconfirmed(limit=PER_ROUND, after=self._after)
        self._after = videos[-1].id if len(videos) == PER_ROUND else ""
        open_: list[Video] = []
        for video in videos:
            if await self._outcomes.is_cancelled(video):
                await withdrawals.confirm(video)
            else:
                open_.append(video)
        if await withdrawals.remind(open_):
            logger.info("cancellations were told again", extra={"videos": len(open_)})


async def _known(services: Services, caller: Caller, video_id: str) -> Video:
    video = await services.outbox.get(video_id, owner=caller.sees)
    if video is None:
        raise UnknownVideo(video_id)
    return video


def _log(video: Video, state: str) -> None:
    fields = {"video_id": video.id, "before": video.state, "state": state, "attempt": video.attempt}
    logger.info("video state changed", extra=fields)
