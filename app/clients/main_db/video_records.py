"""What is kept of a video and of a command on it, between Mongo's documents and our own words."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from app.clients.mongo import Document
from app.domain.failures import failure
from app.domain.messages import Failure, Options, VideoAsked
from app.domain.sentences import ClientStatus
from app.domain.states import Outcome, State, state_of

CommandKind: TypeAlias = Literal["delete", "cancel"]
Cursor: TypeAlias = tuple[datetime, str]

DEFAULT_OPTIONS = Options()


@dataclass(frozen=True)
class EarlierAttempt:
    """How an attempt ended that was followed by another one."""

    attempt: int
    outcome: Outcome
    outcome_at: datetime
    sent_at: datetime | None = None
    error: Failure | None = None


@dataclass(frozen=True)
class Video:
    """What the API remembers of a video.

    Attributes:
        status: `new` until it was published, then `sent`.
        outcome: how it ended: what was seen in S3, once, or that it was cancelled.
        error: why it failed, where it did.
        last_error: why it could not be published the last time.
        redrives: how often it was published again because nothing came of it.
        owner: id of the API key that it was asked for with; None where there was none.
        unconfirmed: whether it was cancelled, and the pipeline has not said yet that nothing more happens.
        history: how earlier attempts ended, oldest first; the last few.
        tags: words that its client has put on it, in its order.
        webhook: URL that is told of its end; None where nobody is.
        is_due: whether there is an end that somebody is to be told of, and that is no delivery yet.
    """

    id: str
    status: Literal["new", "sent"]
    bucket: str
    object: str
    created_at: datetime
    media_type: str = "video"
    options: Options = DEFAULT_OPTIONS
    attempt: int = 1
    input_owned: bool = False
    filename: str | None = None
    sent_at: datetime | None = None
    tries: int = 0
    redrives: int = 0
    last_error: str | None = None
    outcome: Outcome | None = None
    outcome_at: datetime | None = None
    error: Failure | None = None
    owner: str | None = None
    unconfirmed: bool = False
    history: list[EarlierAttempt] = field(default_factory=list)
    tags: tuple[str, ...] = ()
    webhook: str | None = None
    is_due: bool = False

    @property
    def client_status(self) -> ClientStatus:
        """The word that a client of the original calls sees; to them a cancelled video has failed."""
        return "failed" if self.outcome == "cancelled" else self.outcome or self.status

    @property
    def state(self) -> State:
        """The word that a client of `/api/v1` sees."""
        return state_of(self.outcome, self.status)


@dataclass(frozen=True)
class Claimed:
    """Something that is ours to publish until the lease ends.

    Attributes:
        key: `_id` of the document.
        is_command: whether it is a command or a video.
        asked: what is to be published.
        lease_until: when somebody else may take it.
        tries: how often it was claimed, this time included.
        created_at: when a client asked for it.
        redrives: how often it was published again before.
        refusal: why it can never be published; None where it can.
    """

    key: str
    is_command: bool
    asked: VideoAsked
    lease_until: datetime
    tries: int
    created_at: datetime
    redrives: int = 0
    refusal: Failure | None = None


@dataclass(frozen=True)
class Deletion:
    """A deletion, or a cancellation, that was published and is not confirmed yet.

    Attributes:
        id: of its command.
        bucket: where its confirmation will lie.
        kind: which of the two it is.
        created_at: when a client asked for it.
    """

    id: str
    video_id: str
    bucket: str
    created_at: datetime
    kind: CommandKind = "delete"


@dataclass(frozen=True)
class Page:
    """Some videos, newest first, and where the next page begins, if there is one."""

    videos: list[Video]
    next: Cursor | None


def command_id(video_id: str, attempt: int, kind: CommandKind) -> str:
    """Return the `_id` of a command: asking twice is asking once."""
    return f"{video_id}/{attempt}/{kind}"


def command(document: Document, kind: CommandKind, now: datetime) -> Document:
    """Return the command that removes or cancels a video."""
    attempt = document.get("attempt", 1)
    return {
        "_id": command_id(document["_id"], attempt, kind),
        "video_id": document["_id"],
        "attempt": attempt,
        "kind": kind,
        "status": "new",
        "payload": document["payload"],
        "input_owned": document["input_owned"],
        "created_at": now,
        "tries": 0,
        "redrives": 0,
    }


def to_video(document: Document) -> Video:
    """Return what the document of a video says."""
    payload, error = document["payload"], document.get("error")
    names = ("status", "created_at", "attempt", "input_owned", "filename", "sent_at", "tries", "redrives")
    more = ("last_error", "outcome", "outcome_at", "owner", "unconfirmed")
    return Video(
        id=document["_id"],
        bucket=payload["bucket"],
        object=payload["object"],
        media_type=payload.get("media_type", "video"),
        options=_options(document)[0],
        error=msgspec.convert(error, Failure) if error else None,
        history=msgspec.convert(document.get("history", []), list[EarlierAttempt]),
        tags=tuple(document.get("tags", ())),
        webhook=(document.get("webhook") or {}).get("url"),
        is_due=bool((document.get("webhook") or {}).get("due")),
        **{name: document[name] for name in names + more if name in document},
    )


def to_deletion(command: Document) -> Deletion:
    """Return what the command that removes or cancels a video says."""
    bucket = command["payload"]["bucket"]
    return Deletion(command["_id"], command["video_id"], bucket, command["created_at"], command["kind"])


def to_claimed(document: Document, until: datetime, *, is_command: bool) -> Claimed:
    """Return the claim on a document, as it was read before it was claimed.

    Who only ends a video needs none of its options, whatever they are.
    """
    payload = document["payload"]
    options, refusal = _options(document)
    asked = VideoAsked(
        video_id=document["video_id"] if is_command else document["_id"],
        kind=document["kind"] if is_command else "submitted",
        attempt=document.get("attempt", 1),
        bucket=payload["bucket"],
        object=payload["object"],
        media_type=payload.get("media_type", "video"),
        input_owned=document.get("input_owned", False),
        options=options,
    )
    return Claimed(
        key=document["_id"],
        is_command=is_command,
        asked=asked,
        lease_until=until,
        tries=document.get("tries", 0) + 1,
        created_at=document["created_at"],
        redrives=document.get("redrives", 0),
        refusal=refusal if asked.kind in ("submitted", "retry") else None,
    )


def _options(document: Document) -> tuple[Options, Failure | None]:
    """Return the options of a document; the default ones, and why, where they are none that we read."""
    try:
        return msgspec.convert(document["payload"].get("options", {}), Options), None
    except msgspec.ValidationError as error:
        return DEFAULT_OPTIONS, failure("rejected", f"(options: {error})")
