"""Which videos a runner has open, and which of them makes room for one that waits.

There are so many places, and one for a guest: a video of which nobody knows yet how long it is. A short one
is done there while the long ones go on. A long one leaves as soon as it has said so and the next one waits,
so that of any number of videos that come together each has said it before long.
"""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from app.domain.records import Record, frames_left
from app.publishing import ConfirmedPrefix

PARK_AFTER: Final = 64
"""Frames that a video has in any case before it makes room: most clips are done before that."""

LONG: Final = 8 * PARK_AFTER
"""Sampled frames from which a video is long: 100 s of 25 frames/s at the default stride."""


@dataclass(eq=False)
class OpenSplit:
    """A video that this process splits now.

    Attributes:
        record: as it was claimed.
        prefix: how many of its tasks the broker has confirmed.
        task: who works on it.
        sent: tasks that were sent since it was claimed.
        held: key and value of tasks that were let through and wait for those that came together with them.
        expected: sampled frames that it has according to its file; None as long as that has said nothing.
        got_further: set when the record says so: then no death is this video's fault any more.
    """

    record: Record
    prefix: ConfirmedPrefix
    task: asyncio.Task[None] | None = None
    sent: int = 0
    held: list[tuple[bytes, bytes]] = field(default_factory=list)
    expected: int | None = None
    started: float = field(default_factory=time.monotonic)
    got_further: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def unconfirmed(self) -> int:
        """How many of its tasks were let through and are not known to be on the broker."""
        return self.prefix.unconfirmed + len(self.held)

    @property
    def share(self) -> int:
        """How many frames of the video were let through, earlier ones included."""
        return self.prefix.count + self.unconfirmed

    @property
    def is_long(self) -> bool:
        """Whether its file says so."""
        return self.expected is not None and self.expected >= LONG

    @property
    def left(self) -> int:
        """How many frames it is believed to have left: who has the fewest is let through first.

        So a clip does not take turns with the long videos that came together with it; and of long ones one is
        ready after the other, instead of all of them at the end.
        """
        if self.record.only:
            return max(0, len(self.record.only) - self.share)
        return frames_left(self.share, self.expected)


def free_places(splits: Collection[OpenSplit], places: int, waiting: Record) -> int:
    """Return how many more videos may be opened.

    Args:
        splits: that are open.
        places: how many may be, without the guest.
        waiting: the next of the videos that wait.
    """
    free = places - len(splits)
    return 1 if free == 0 and waiting.is_unknown else max(0, free)


def who_makes_room(splits: Collection[OpenSplit], places: int, waiting: Record) -> OpenSplit | None:
    """Return the video to park for the next one that waits, if there is one.

    A guest that is long has hardly begun. Of the others it is the one that has the most left, and only if
    that is more than twice as much as the one that waits has, and some more. A parked video is fetched and
    decoded again up to where it was, so it first gets twice as far as it was when it was opened: all of that
    together costs no more than decoding it once.

    Args:
        splits: that are open.
        places: how many may be, without the guest.
        waiting: the next of the videos that wait.
    """
    guest = max(splits, key=lambda split: split.started)
    if len(splits) > places and waiting.is_unknown and guest.is_long:
        return guest
    far_enough = [each for each in splits if each.share >= max(PARK_AFTER, 2 * each.record.split_frames)]
    most = max(far_enough, key=lambda split: split.left, default=None)
    return most if most and most.left >= PARK_AFTER + 2 * waiting.split_left else None
