"""Which bytes of an object a request asks for: ranges and conditions of RFC 9110, sections 13 and 14."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers

_ONE: Final = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.IGNORECASE)
"""One range of bytes. What is none of that, several of them too, is as if nothing had been said: a server
may ignore the header (14.2), and no player asks for several."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be answered.

    Attributes:
        status: 200, 206, 304, 412 or 416.
        span: the first and the last byte of a 206; of a 200 nothing, which is all.
    """

    status: HTTPStatus
    span: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """What an object is now.

    Attributes:
        etag: as the header has it, in quotation marks; a strong one, S3's change with every byte.
        modified: when it was written.
        size: in bytes.
    """

    etag: str
    modified: datetime
    size: int

    @property
    def headers(self) -> dict[str, str]:
        """What every answer says of it."""
        modified = format_datetime(self.modified.astimezone(UTC), usegmt=True)
        return {"ETag": self.etag, "Last-Modified": modified, "Accept-Ranges": "bytes"}


def decide(headers: Headers, version: Version) -> Wanted:
    """Return what to answer to a GET or HEAD, in the order of RFC 9110, 13.2.2.

    Args:
        headers: of the request.
        version: of the object.
    """
    if (match := headers.get("if-match")) is not None:
        if not _names(match, version.etag, weakly=False):
            return Wanted(HTTPStatus.PRECONDITION_FAILED)
    elif (unless := _time(headers.get("if-unmodified-since"))) and _later(version, unless):
        return Wanted(HTTPStatus.PRECONDITION_FAILED)
    if (none := headers.get("if-none-match")) is not None:
        if _names(none, version.etag, weakly=True):
            return Wanted(HTTPStatus.NOT_MODIFIED)
    elif (since := _time(headers.get("if-modified-since"))) and not _later(version, since):
        return Wanted(HTTPStatus.NOT_MODIFIED)
    if "range" in headers and _is_same(headers.get("if-range"), version):
        return _span(headers["range"], version.size)
    return Wanted(HTTPStatus.OK)


def _span(text: str, size: int) -> Wanted:
    found = _ONE.fullmatch(text)
    if found is None or found[1] == found[2] == "":
        return Wanted(HTTPStatus.OK)
    if found[1] == "":  # the last so many
        first, last = max(0, size - int(found[2])), size - 1
    else:
        first = int(found[1])
        last = min(int(found[2]), size - 1) if found[2] else size - 1
        if found[2] and int(found[2]) < first:
            return Wanted(HTTPStatus.OK)  # no range at all (14.1.1)
    if first >= size:  # nothing of it is there, nor of the last 0 bytes
        return Wanted(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
    return Wanted(HTTPStatus.PARTIAL_CONTENT, (first, last))


def _is_same(condition: str | None, version: Version) -> bool:
    """Return whether a range still is one of the same bytes (13.1.5): strongly, and to the second."""
    if condition is None:
        return True
    if '"' in condition:
        return condition.strip() == version.etag
    when = _time(condition)
    return when is not None and when == version.modified.astimezone(UTC).replace(microsecond=0)


def _names(condition: str, etag: str, *, weakly: bool) -> bool:
    if condition.strip() == "*":
        return True
    named = (each.strip() for each in condition.split(","))
    return any((each.removeprefix("W/") if weakly else each) == etag for each in named)


def _later(version: Version, when: datetime) -> bool:
    return version.modified.astimezone(UTC).replace(microsecond=0) > when


def _time(text: str | None) -> datetime | None:
    try:
        when = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when
