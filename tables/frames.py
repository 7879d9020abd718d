"""One row per frame: what was found in it, as the JSON that the result will hold."""

from app.domain.messages import FrameNumber
from app.worker import Worker


class Frames:
    """The rows of the partitions that this worker owns.

    Args:
        worker: whose table it is.
    """

    def __init__(self, worker: Worker[object]) -> None:
        self.table = worker.durable_table(
            "frames", description="what was found in each frame of the videos in work"
        )

    def put(self, video_id: str, attempt: int, frame: FrameNumber, row: bytes) -> None:
        """Write the row of a frame."""
        self.table[_key(video_id, attempt, frame)] = row

    def get(self, video_id: str, attempt: int, frame: FrameNumber) -> bytes | None:
        """Return the row of a frame; None when there is none."""
        row: bytes | None = self.table.get(_key(video_id, attempt, frame))
        return row

    def delete(self, video_id: str, attempt: int, frame: FrameNumber) -> None:
        """Remove the row of a frame; one that is not there is fine."""
        # Also from the changelog, where it may still be: a process that was killed had only begun with it.
        del self.table[_key(video_id, attempt, frame)]

    async def durable(self) -> None:
        """Return once everything written so far is on the broker."""
        await self.table.durable()


def _key(video_id: str, attempt: int, frame: int) -> bytes:
    return f"{video_id}/{attempt}/{frame:08d}".encode()
