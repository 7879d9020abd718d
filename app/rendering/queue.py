"""Which renderings wait, and the one that is made: one at a time, because splitting goes first."""

import asyncio
import logging
from collections import OrderedDict
from typing import Final

from app.decoding.process import DecoderCrashed
from app.domain.messages import Failure
from app.domain.renderings import RenderingAsked, RenderingState
from app.errors import Rejected, RetryLater
from app.rendering.making import Deleted, Maker, Progress
from app.rendering.stills import Busy
from app.telemetry.subject import about

logger = logging.getLogger(__name__)

MOST_WAITING: Final = 64
"""Renderings that may wait here; more are asked for again later."""

TRIES: Final = 2
"""Children that may die of a rendering; one death may be an accident."""


class Renderings:
    """Takes up what is asked for, and makes it in the order in which it came.

    What waits is nowhere but here: whoever wants it asks again and again, also after we were started anew.

    Args:
        maker: makes one.
    """

    def __init__(self, maker: Maker) -> None:
        self._maker = maker
        self._waiting: OrderedDict[tuple[str, str], RenderingAsked] = OrderedDict()
        self._has_some = asyncio.Event()
        self._now: tuple[str, str] | None = None
        self._progress = Progress()

    async def ask(self, asked: RenderingAsked) -> RenderingState:
        """Let a rendering be made; return how far it is. Asking twice is asking once.

        Raises:
            Busy: as many wait as may.
            Unavailable: S3 does not answer.
        """
        key = (asked.video_id, asked.kind)
        if (state := self._known(key)) is not None:
            return state
        if (noted := await self._maker.notes.read(asked)) is not None:
            return noted
        if len(self._waiting) >= MOST_WAITING and key not in self._waiting:
            raise Busy("as many renderings wait as may")
        self._waiting.setdefault(key, asked)
        self._has_some.set()
        return self._maker.notes.queued()

    def _known(self, key: tuple[str, str]) -> RenderingState | None:
        if key == self._now:
            return self._maker.notes.making(self._progress.done, self._progress.total)
        return self._maker.notes.queued() if key in self._waiting else None

    async def run(self) -> None:
        """Make what is asked for, for ever."""
        while True:
            await self._has_some.wait()
            key, asked = self._waiting.popitem(last=False)
            if not self._waiting:
                self._has_some.clear()
            self._now, self._progress = key, Progress()
            try:
                await self._make(asked)
            finally:
                self._now = None

    async def _make(self, asked: RenderingAsked) -> None:
        fields = {"video_id": asked.video_id, "kind": asked.kind}
        try:
            with about(asked.video_id):
                await self._try(asked)
        except Deleted:
            logger.info("rendering given up: its video was deleted", extra=fields)
        except DecoderCrashed as crash:
            await self._give_up(asked, crash.failure)
        except Rejected as error:
            await self._give_up(asked, Failure(error.code, error.reason))
        except RetryLater as error:  # whoever wants it asks again
            logger.warning("rendering put off: %s", error, extra=fields)

    async def _try(self, asked: RenderingAsked) -> None:
        for last in range(1, TRIES + 1):
            try:
                await self._maker.make(asked, self._progress)
            except DecoderCrashed as crash:
                fields = {"video_id": asked.video_id, "kind": asked.kind, "code": crash.code}
                logger.warning("renderer died: %s", crash, extra=fields)
                if last == TRIES:
                    raise
            else:
                return

    async def _give_up(self, asked: RenderingAsked, error: Failure) -> None:
        fields = {"video_id": asked.video_id, "kind": asked.kind, "code": error.code}
        logger.info("rendering has failed", extra=fields)
        try:
            await self._maker.notes.write(asked, self._maker.notes.failed(error))
        except RetryLater as unavailable:
            logger.debug("not noted: %s", unavailable)
