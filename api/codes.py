"""The codes of problems: what each says, with which status, and which of them a call may answer."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

USUAL: Final[dict[int, dict[str, str]]] = {
    400: {"bad_request": "It is no HTTP, or its head says two things about the length of its body."},
    401: {
        "no_key": "A key is needed, and none was sent.",
        "unknown_key": "There is no such key, or it was revoked.",
    },
    403: {
        "forbidden": "The key does not have the scope that the call needs.",
        "cross_site": "A page of another site wants something changed.",
    },
    404: {"not_found": "There is no such thing, or it is another's."},
    406: {"not_acceptable": "`Accept` names none of the forms that there are."},
    408: {"timeout": "The request came too slowly."},
    412: {"precondition_failed": "The file is not the one that `If-Match` or `If-Unmodified-Since` names."},
    413: {"too_large": "The body has more bytes than are allowed."},
    415: {"unsupported_media_type": "The body is neither a video nor a form nor JSON."},
    416: {"range_not_satisfiable": "The file has no such bytes; `Content-Range` says how many it has."},
    421: {"foreign_host": "`Host` is none of the API's own names (`ALLOWED_HOSTS`)."},
    422: {"invalid": "A part of the request cannot be accepted; `errors` says which, and why."},
    429: {"over_quota": "The key has used what it may; `Retry-After` says when to come again."},
    431: {"head_too_large": "The head has too many fields, or too many bytes."},
    500: {"internal": "A mistake of ours; it has been logged."},
    503: {
        "unavailable": "Mongo, S3 or the runner does not answer; come again after `Retry-After`.",
        "busy": "There is as much to do as can be done at a time; come again after `Retry-After`.",
    },
    507: {"insufficient_storage": "There is no room for more videos; come again after `Retry-After`."},
}
"""Codes that every call with this status may answer."""

PARTICULAR: Final[dict[int, dict[str, str]]] = {
    409: {
        "already_ended": "The video is ready or has failed: there is nothing to cancel.",
        "already_ready": "The video is ready: there is nothing to try again.",
        "conflict": "Somebody else has changed the thing meanwhile.",
        "idempotency_in_progress": "A request with this `Idempotency-Key` is under way; try again later.",
        "idempotency_key_reused": "The `Idempotency-Key` was used with another request.",
        "not_ended": "The video waits or is in work: cancel it before it is tried again.",
        "not_ready": "The video has no result yet.",
        "not_uploaded": "Not everything has arrived.",
        "under_way": "A try of this delivery is under way.",
        "video_deleted": "The video of this `Idempotency-Key` was deleted.",
        "video_failed": "The video has failed; `reason` says why, by a code of [limits.md](limits.md#codes).",
    },
    500: {"export_failed": "The result cannot be read, or not be written like this; it has been logged."},
}
"""Codes of some calls, each of which names them."""

A_REASON: Final = "a code of docs/limits.md"
"""Stands, in what a call names, for those that say why a video cannot be decoded or drawn."""


def described(status: int, particular: Iterable[str] = ()) -> str:
    """Return what the OpenAPI document says about an error, such as: Conflict: `not_ready`.

    Args:
        status: of HTTP.
        particular: codes that the call names, of any status.
    """
    named = [code for code in particular if code in PARTICULAR.get(status, ())]
    words = [f"`{code}`" for code in (*USUAL.get(status, ()), *named)]
    if status == HTTPStatus.CONFLICT and A_REASON in particular:
        words.append(A_REASON)
    return f"{HTTPStatus(status).phrase}: {', '.join(words)}"
