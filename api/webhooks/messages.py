"""What a receiver is told of a video: small, and never the result itself."""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from api.lifecycle.video_answers import listed
from app.clients.main_db.endings import Ending
from app.clients.main_db.video_outbox import Video
from app.clients.main_db.webhook_deliveries import Delivery
from app.domain.receivers import read_receiver

CANCELLED: Final = "cancelled"
"""As an outcome, and as the code of a failure."""


def delivery_of(video: Video, url: str, ending: Ending, *, now: datetime) -> Delivery:
    """Return the delivery of a video's end, due at once."""
    word = word_of(ending)
    body = {
        "type": f"video.{word}",
        "timestamp": _written(ending.at),
        "data": _described(video, ending, word),
    }
    return Delivery(
        id=ending.id,
        video_id=video.id,
        owner=video.owner,
        type=f"video.{word}",
        url=url,
        host=read_receiver(url).authority,
        body=msgspec.json.encode(body).decode(),
        created_at=now,
        due_at=now,
    )


def word_of(ending: Ending) -> str:
    """Return how a video ended: ready, failed or cancelled."""
    code = ending.error.code if ending.error else None
    return CANCELLED if code == CANCELLED and ending.outcome == "failed" else ending.outcome


def _described(video: Video, ending: Ending, word: str) -> dict[str, Any]:
    path = f"/api/v1/videos/{video.id}"
    return listed(video) | {
        "status": word,
        "stage": None,
        "ended_at": _written(ending.at),
        "error": msgspec.to_builtins(ending.error) if ending.error else None,
        "links": {
            "self": path,
            "result": f"/api/result_video/{video.id}",
            "deliveries": f"{path}/deliveries",
        },
    }


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
