"""How far one video is: `main_db` says in which state, S3 whether it has just ended, the runner the rest."""

import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from api.lifecycle.outcomes import Outcomes
from app.clients.http.runner_progress import RunnerAnswers, RunnerProgress
from app.clients.main_db.video_outbox import Video, VideoOutbox
from app.domain.estimates import Trail, follow, frames_per_second, seconds_left
from app.domain.states import ENDED, Stage
from app.errors import RetryLater, Unavailable

REMEMBERED: Final = 1000
"""Videos whose trails are kept, those that were asked about last: some 500 bytes each."""

STAGES: Final[tuple[Stage, ...]] = ("queued", "fetching", "decoding", "detecting", "writing")


@dataclass(frozen=True)
class Look:
    """What was seen of a video.

    Attributes:
        video: what `main_db` knows.
        is_known: whether the runner has answered.
        progress: what it told; None where it does not know this attempt yet, or has not answered.
        fps: frames per second of late; None where that is not known, or nothing is done.
        eta_seconds: until every frame is looked at; None where that is not known.
    """

    video: Video
    is_known: bool = False
    progress: RunnerProgress | None = None
    fps: float | None = None
    eta_seconds: float | None = None

    @property
    def stage(self) -> Stage | None:
        """Where it is; None where it has ended, or nobody knows."""
        if self.video.state in ENDED:
            return None
        if self.progress is None:
            return "queued" if self.is_known or self.video.state == "queued" else None
        if self.progress.has_ended:
            return "writing"  # it is there, and will have been seen in a moment
        return next((each for each in STAGES if each == self.progress.stage), None)


class Looks:
    """Looks at videos, and remembers how fast they were.

    Args:
        outbox: says in which state they are.
        outcomes: looks into S3.
        runner: tells the rest.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        outbox: VideoOutbox,
        outcomes: Outcomes,
        runner: RunnerAnswers,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = outbox
        self._outcomes = outcomes
        self._runner = runner
        self._clock = clock
        self._trails: OrderedDict[str, Trail] = OrderedDict()

    async def look(self, video_id: str, *, owner: str | None = None) -> Look | None:
        """Return how far a video is; None when it is unknown or deleted, or not of this owner.

        Raises:
            Unavailable: Mongo does not answer.
        """
        video = await self._outbox.get(video_id, owner=owner)
        if video is None:
            return None
        is_known, progress = await self._ask(video)
        if video.state == "processing" and (not is_known or (progress is not None and progress.has_ended)):
            with suppress(RetryLater):  # as far as S3 answers
                await self._outcomes.look_at(video)
            video = await self._outbox.get(video_id, owner=owner)
            if video is None:
                return None
        return self._estimated(Look(video, is_known, progress))

    async def _ask(self, video: Video) -> tuple[bool, RunnerProgress | None]:
        if video.state == "queued":
            return True, None  # the runner has not heard of it
        try:
            found = await self._runner.progress_of(video.id)
        except Unavailable:
            return False, None
        is_older = found is not None and found.attempt < video.attempt
        return True, None if is_older else found

    def _estimated(self, look: Look) -> Look:
        progress, video_id = look.progress, look.video.id
        if progress is None or look.video.state in ENDED or progress.seconds_decoding is None:
            self._trails.pop(video_id, None)
            return look
        now, done = self._clock(), progress.frames_done
        trail = follow(self._trails.get(video_id), attempt=progress.attempt, at=now, frames=done)
        self._remember(video_id, trail)
        average = done / progress.seconds_decoding if done and progress.seconds_decoding > 0 else None
        rate = frames_per_second(trail, at=now, average=average)
        left = seconds_left(trail, at=now, rate=rate, total=progress.total)
        return replace(look, fps=rate, eta_seconds=left)

    def _remember(self, video_id: str, trail: Trail) -> None:
        self._trails[video_id] = trail
        self._trails.move_to_end(video_id)
        while len(self._trails) > REMEMBERED:
            self._trails.popitem(last=False)
