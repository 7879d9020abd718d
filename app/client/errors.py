"""What can go wrong when Kadr is asked for something, split by what the caller may do about it.

KadrError                  everything below, and nothing else, is raised by the client
├── RetryLater             the same call may succeed later
│   ├── Unreachable        Kadr, or a server that it needs, does not answer
│   ├── TooBusy            Kadr has too much to do, or the key has used what it may; `retry_after` says when
│   ├── NotReady           the video, or what is made of it, is not there yet; `status` says how far it is
│   └── TookTooLong        what was waited for did not come within the time that the caller gave
└── Rejected               the same call will never succeed
    ├── Refused            `code`, `detail`, and on a wrong request `fields`: what is wrong with which
    │   ├── NotAllowed     no key, a wrong key, or a key that may not do this
    │   ├── NotFound       no such video; or it is another key's
    │   └── Conflict       the video is not in a state in which this can be done
    ├── VideoFailed        the video has failed, or was cancelled: there is no result
    └── Unreadable         an answer that is not Kadr's, or of a release that says things otherwise
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Struct

from app.client.steps import Answer
from app.errors import Malformed, Rejected, RetryLater, Unavailable

UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
CONFLICT: Final = 409
TOO_MANY_REQUESTS: Final = 429
SERVER_ERROR: Final = 500
UNAVAILABLE: Final = 503


class Unreachable(Unavailable):
    """Kadr, or a server that it needs, does not answer.

    Args:
        service: which.
        cause: what was seen.
        may_have_arrived: whether the request may have been done all the same.
    """

    def __init__(self, service: str, cause: object, *, may_have_arrived: bool = True) -> None:
        self.may_have_arrived = may_have_arrived
        super().__init__(service, cause)


class BrokenOff(Unreachable):
    """An answer that had begun does not go on."""


class TooBusy(RetryLater):
    """Kadr has too much to do, or the key has used what it may.

    Args:
        detail: Kadr's sentence.
        retry_after: seconds until it is worth to ask again; None where Kadr did not say.
    """

    def __init__(self, detail: str, retry_after: float | None = None) -> None:
        self.detail = detail
        self.retry_after = retry_after
        later = "" if retry_after is None else f" (again in {retry_after:.0f} s)"
        super().__init__(f"{detail.rstrip('.')}{later}")


class NotReady(RetryLater):
    """What is asked for is not there yet.

    Args:
        video_id: whose it is.
        status: how far the video is, in Kadr's word for it; empty where nobody said.
    """

    def __init__(self, video_id: str, status: str = "") -> None:
        self.video_id = video_id
        self.status = status
        said = f": its status is {status}" if status else ""
        super().__init__(f"the video {video_id} is not ready yet{said}")


class TookTooLong(RetryLater):
    """What was waited for did not come in time.

    Args:
        what: it was.
        seconds: that it was waited for.
    """

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(f"{what} did not come within {seconds:.0f} s")


class Refused(Rejected):
    """Kadr will not do it.

    Args:
        code: a stable word for programs, such as `invalid`.
        detail: Kadr's sentence.
        status: of HTTP.
        fields: what is wrong with which part of the request, by its name.
    """

    def __init__(
        self, code: str, detail: str, *, status: int, fields: Mapping[str, str] | None = None
    ) -> None:
        self.detail = detail
        self.status = status
        self.fields = dict(fields or {})
        super().__init__(code, detail)


class NotAllowed(Refused):
    """No key, a wrong key, or a key that may not do this."""


class NotFound(Refused):
    """There is no such thing, or it is another key's."""


class Conflict(Refused):
    """The video is not in a state in which this can be done."""


class VideoFailed(Rejected):
    """A video has ended without a result.

    Args:
        video_id: which.
        code: why, a stable word for programs.
        reason: why, a sentence for people.
    """

    def __init__(self, video_id: str, code: str, reason: str) -> None:
        self.video_id = video_id
        super().__init__(code, reason)

    def __str__(self) -> str:
        return f"the video {self.video_id} failed: {self.code}: {self.reason}"


class Unreadable(Malformed):
    """An answer that is not Kadr's, or of a release that says things otherwise."""


_STATUS: Final = re.compile(r"its status is (\w+)")
"""Kadr's sentence for what is not ready has the word that its problem has no field for."""


class _FieldProblem(Struct):
    field: str
    message: str


@dataclass(frozen=True)
class _Kind:
    error: type[Refused]
    code: str


_KINDS: Final = {
    UNAUTHORIZED: _Kind(NotAllowed, "no_key"),
    FORBIDDEN: _Kind(NotAllowed, "forbidden"),
    NOT_FOUND: _Kind(NotFound, "not_found"),
    CONFLICT: _Kind(Conflict, "conflict"),
}


class Problem(Struct):
    """An error as Kadr tells it (RFC 9457); every field may be missing, for it may be a proxy's.

    Attributes:
        code: a stable word.
        detail: a sentence.
        errors: what is wrong with which part of the request.
        reason: the code of a failed video's failure.
    """

    code: str = ""
    detail: str = ""
    errors: list[_FieldProblem] = []
    reason: str = ""


def read_problem(answer: Answer) -> Problem:
    """Return what an answer says of an error; an empty problem when it says nothing that we read."""
    try:
        return msgspec.json.decode(answer.body, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Problem()


def error_of(answer: Answer) -> RetryLater | Rejected:
    """Return the error that an answer is."""
    problem = read_problem(answer)
    detail = problem.detail or f"HTTP status {answer.status}"
    if answer.status == TOO_MANY_REQUESTS or problem.code == "busy":
        return TooBusy(detail, answer.retry_after)
    if answer.status >= SERVER_ERROR:
        return Unreachable("Kadr", detail)
    kind = _KINDS.get(answer.status, _Kind(Refused, "refused"))
    fields = {each.field: each.message for each in problem.errors}
    return kind.error(problem.code or kind.code, detail, status=answer.status, fields=fields)


def error_about(video_id: str, answer: Answer) -> RetryLater | Rejected:
    """Return the error that an answer about one video's result is."""
    problem = read_problem(answer)
    if problem.code == "not_ready":
        said = _STATUS.search(problem.detail)
        return NotReady(video_id, said[1] if said else "")
    if problem.code == "video_failed":
        return VideoFailed(video_id, problem.reason or "failed", problem.detail)
    return error_of(answer)
