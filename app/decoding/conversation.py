"""What a child says of its one video, listened to for as long as it gets on."""

import asyncio
from typing import Final

from app.decoding.handle import Child, DecoderCrashed
from app.decoding.protocol import Limits, Record, read_outcome
from app.domain.failures import failure
from app.domain.messages import Failure, VideoFacts
from app.errors import Malformed

GRACE_SECONDS: Final = 1.0
"""How much longer a silent child is listened to after the limit."""

LOOK_EVERY: Final = 0.5
"""Seconds between two looks at how long a child has been silent."""


class Conversation:
    """One video being worked on by one child.

    Attributes:
        outcome: the video's facts, or why it failed, once there is nothing more to hear; None before, and
            after `kill`.
    """

    def __init__(self, child: Child, limits: Limits) -> None:
        self.outcome: VideoFacts | Failure | None = None
        self._child = child
        self._stall = limits.stall
        self._wall = limits.wall
        self._loop = asyncio.get_running_loop()
        self._asked_at: float | None = None
        self._waited = 0.0
        self._was_silent = False
        self._was_late = False

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    def kill(self) -> None:
        """End the child at once; it is heard no more, and there is no outcome. Harmless when repeated."""
        self._child.kill()

    async def next(self) -> Record | None:
        """Return the next record; None when there is none any more because we ended the child.

        Raises:
            DecoderCrashed: the child ended without an outcome, or made no progress for too long.
        """
        self._asked_at = self._loop.time()
        try:
            return await self._child.read()
        except Malformed as error:
            raise DecoderCrashed("decoder_crashed", "answered with what is no record") from error
        except asyncio.IncompleteReadError as error:
            if self._was_silent:
                said = f"was silent for {self._stall:.0f} seconds"
                raise DecoderCrashed("decoder_timeout", said) from error
            if self._was_late:
                self.outcome = failure("decoder_timeout", f"The limit is {self._wall:.0f} seconds in all.")
            if self._child.was_killed:
                return None
            raise await self._child.explain() from error
        finally:
            self._waited += self._loop.time() - self._asked_at
            self._asked_at = None

    async def watch(self) -> None:
        """Kill the child when it lets us wait for too long, at once or in all.

        Looks now and then, because a timer for each record would cost more than reading it does. A loop that
        was itself held up for so long has not looked into the pipe yet: it gets a grace.
        """
        while True:
            asked_at = self._asked_at
            waited = 0.0 if asked_at is None else self._loop.time() - asked_at
            if self._waited + waited > self._wall:
                self._was_late = True
                self._child.kill()
                return
            if waited < self._stall:
                await asyncio.sleep(min(self._stall - waited, LOOK_EVERY))
                continue
            await asyncio.sleep(GRACE_SECONDS)
            if self._asked_at == asked_at:
                self._was_silent = True
                self._child.kill()
                return


def outcome_of(record: Record) -> VideoFacts | Failure:
    """Return what a last record says.

    Raises:
        DecoderCrashed: it says nothing that ends a video.
    """
    try:
        return read_outcome(record)
    except Malformed as error:
        raise DecoderCrashed("decoder_crashed", "ended with what is no outcome") from error
