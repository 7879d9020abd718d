"""One video as the runner knows it."""

from datetime import datetime
from typing import Final

from msgspec import Struct

from app.domain.messages import Failure, Options, VideoFacts
from app.domain.progress import Status

FEW_MORE: Final = 8
"""Frames that a video may have beyond what its file says; of a long one a hundredth."""

SUSPECT: Final = 2
"""Tries at one place after which a split that its runner did not give back is worked on alone."""


class Record(Struct, frozen=True, rename={"video_id": "_id"}):
    """One video as the runner knows it.

    Attributes:
        split_frames: sampled frames whose tasks the broker has confirmed, without a hole.
        expected_frames: sampled frames that the video has according to its file, as far as is known.
        split_left: sampled frames that it is believed to have left: who has the fewest is split first.
        split_ended: whether every task of the video is on the broker.
        split_tries: how many decoding children were started for it and died by themselves.
        split_owner: the claim that holds it, or held it last; None when it was given back.
        claim: the claim by which it was taken just now, empty without one; an earlier one writes nothing.
        only: numbers of the frames that are to be decoded again; None means all.
        checks: how many times missing frames were looked for without any having arrived since.
        decoding_at: when its first decoding child was started.
        decoded_at: when all its tasks were on the broker for the first time.
        detected_at: when the table held every frame.
        ready_at: when its result was there, to the millisecond.
    """

    video_id: str
    attempt: int
    status: Status
    created_at: datetime
    updated_at: datetime
    bucket: str = ""
    object: str = ""
    input_owned: bool = False
    options: Options = Options()
    total_frames: int | None = None
    received_frames: int = 0
    split_frames: int = 0
    expected_frames: int | None = None
    split_left: int = 0
    split_ended: bool = False
    split_tries: int = 0
    split_owner: str | None = None
    split_lease_until: datetime | None = None
    claim: str = ""
    checks: int = 0
    only: list[int] | None = None
    video: VideoFacts | None = None
    error: Failure | None = None
    decoding_at: datetime | None = None
    decoded_at: datetime | None = None
    detected_at: datetime | None = None
    ready_at: datetime | None = None

    @property
    def is_unknown(self) -> bool:
        """Whether nobody has opened the video yet, as far as is known."""
        return not self.split_frames and self.expected_frames is None

    @property
    def is_suspect(self) -> bool:
        """Whether it may be what killed its runner: it died, perhaps of another split, and not once only."""
        return self.split_owner is not None and self.split_tries >= SUSPECT


def frames_left(done: int, expected: int | None) -> int:
    """Return how many sampled frames a video is believed to have left.

    That is what its file says; where this says nothing, or far less than there has been, as many again as
    there have been. So of those that say nothing the one that has had the fewest is the next, and one of
    which nothing is known comes before all others. A few frames more than the file says are no lie: how many
    there are is often rounded, and the last one must not wait behind hours of others.

    Args:
        done: sampled frames that it has had.
        expected: those that it has according to its file.
    """
    if expected is None or done > expected + max(FEW_MORE, expected // 100):
        return done
    return max(0, expected - done)
