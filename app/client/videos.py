"""What Kadr says of videos. Fields that a later release adds are passed over; all times are aware, in UTC."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeAlias, TypedDict

from msgspec import Meta, Struct

from app.domain.messages import Failure

Status: TypeAlias = Literal["queued", "processing", "ready", "failed", "cancelled"]
Stage: TypeAlias = Literal["queued", "fetching", "decoding", "detecting", "writing"]

STATUSES: Final[tuple[Status, ...]] = ("queued", "processing", "ready", "failed", "cancelled")

ENDED: Final = frozenset({"ready", "failed", "cancelled"})


class Preprocess(TypedDict, total=False):
    """What is done to a picture before the model sees it.

    `blur`: kernel of a Gaussian blur in pixels, odd. `alpha`: what each value is multiplied with. `beta`:
    what is added then.
    """

    blur: int
    alpha: float
    beta: float


class Options(TypedDict, total=False):
    """What may be chosen for one video; names and defaults as Ultralytics has them.

    `conf` (0.25): least confidence. `iou` (0.45): overlap above which the weaker of two boxes is dropped.
    `vid_stride` (5): every how manieth frame is looked at. `classes` (all): names or numbers. `max_det`
    (300): most detections in a frame. `imgsz` (640): longest side of the picture that the model sees.
    `preprocess`: what is done to it before, `False` for nothing. `start`, `end`: seconds, between which is
    looked.
    """

    conf: float
    iou: float
    vid_stride: int
    classes: Sequence[str | int]
    max_det: int
    imgsz: int
    preprocess: Preprocess | Literal[False]
    start: float
    end: float


class Progress(Struct, frozen=True):
    """How far a video is; frames are those that are looked at.

    Attributes:
        known: whether Kadr could tell; nothing else is said where it could not.
        frames_done: frames that were looked at.
        frames_total: frames that there will be; None as long as nobody knows.
        fps: frames per second of late.
        eta_seconds: seconds until every frame is looked at; None as long as nobody knows.
        queue_position: videos that wait before it; 0 where it is being worked on.
    """

    known: bool = False
    frames_done: int = 0
    frames_total: int | None = None
    fps: float | None = None
    eta_seconds: float | None = None
    queue_position: int | None = None


class Times(Struct, frozen=True):
    """When each stage was reached; None where it was not, or nobody knows."""

    created: datetime | None = None
    sent: datetime | None = None
    accepted: datetime | None = None
    decoding: datetime | None = None
    decoded: datetime | None = None
    detected: datetime | None = None
    ready: datetime | None = None


class Video(Struct, frozen=True):
    """A video and how far it is.

    Attributes:
        id: what to ask for it with.
        status: `queued`, `processing`, and then `ready`, `failed` or `cancelled`.
        stage: where a video in work is; None where it has ended, or nobody knows.
        filename: as whoever sent it has called it.
        tags: words to find it by.
        attempt: counted from 1; each retry is one more.
        options: all of them, with their defaults.
        bucket: where its bytes are.
        object: the name that they have there.
        created_at: when it was accepted.
        sent_at: when the pipeline had it.
        ended_at: when it was ready, failed or cancelled.
        error: why it has failed.
        progress: how far it is; lists do not say.
        times: when it reached each stage; lists do not say.
    """

    id: str
    status: Status
    stage: Stage | str | None = None
    filename: str | None = None
    tags: list[str] = []
    attempt: Annotated[int, Meta(ge=1)] = 1
    options: dict[str, Any] = {}
    bucket: str = ""
    object: str = ""
    created_at: datetime | None = None
    sent_at: datetime | None = None
    ended_at: datetime | None = None
    error: Failure | None = None
    progress: Progress | None = None
    times: Times | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens unless somebody asks for it."""
        return self.status in ENDED


class VideoPage(Struct, frozen=True):
    """Some videos, newest first."""

    videos: list[Video]
    next_cursor: str | None = None


class Try(Struct, frozen=True):
    """One try to deliver a webhook's message.

    Attributes:
        at: when it began.
        seconds: how long it took.
        status: of HTTP; None where there was no answer.
        error: why there was none.
        response: how the answer's body begins.
    """

    at: datetime
    seconds: float
    status: int | None = None
    error: str | None = None
    response: str = ""


class Delivery(Struct, frozen=True):
    """A message to a webhook, and what came of it.

    Attributes:
        id: the header `webhook-id`, the same at every try.
        status: `waiting` while there will be another try, then `delivered` or `failed`.
        tries: the last ones, oldest first.
    """

    id: str
    video_id: str
    type: str
    url: str
    status: str
    created_at: datetime
    ended_at: datetime | None = None
    next_try_at: datetime | None = None
    is_trying: bool = False
    tries: list[Try] = []


class Deliveries(Struct, frozen=True):
    """Messages, newest first."""

    deliveries: list[Delivery]


class Operation(Struct, frozen=True):
    """A video and how far it is, in the words of `/api/status/all`."""

    video_id: str
    status_code: str
    status_description: str


class Operations(Struct, frozen=True):
    """The newest videos, and how many there are altogether."""

    operations: list[Operation]
    total: int
