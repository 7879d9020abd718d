"""How the split of a video ended, as a message."""

from typing import Any

from app.domain.messages import Failure, SplitEnded, VideoAsked, VideoFacts
from app.domain.records import Record


def ended_of(
    record: Record,
    kind: Any,  # noqa: ANN401 - a literal of the message
    *,
    video: VideoFacts | None = None,
    error: Failure | None = None,
    checks: int = 0,
) -> SplitEnded:
    """Return how the split of a record ended, as a message."""
    return end_of(record, kind, video=video or record.video, error=error or record.error, checks=checks)


def end_of(
    asked: VideoAsked | Record,
    kind: Any,  # noqa: ANN401 - a literal of the message
    *,
    video: VideoFacts | None = None,
    error: Failure | None = None,
    checks: int = 0,
) -> SplitEnded:
    """Return how the split of a video ended that was asked for, whether there is a record of it or not."""
    return SplitEnded(
        asked.video_id,
        kind,
        asked.attempt,
        bucket=asked.bucket,
        object=asked.object,
        input_owned=asked.input_owned,
        options=asked.options,
        video=video,
        error=error,
        round=checks,
    )
