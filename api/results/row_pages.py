"""Rows of a result some at a time: a cursor says at which byte the next page begins, so that none is slow."""

import base64
import binascii
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import msgspec

from api.problems import Invalid
from api.results.stored import Stored

HELD: Final = 4 << 20
"""Bytes of rows in one page, at most: it is held in memory."""

SCANNED: Final = 16 << 20
"""Bytes that one page looks at, where little is asked for of much: about half a second."""


@dataclass(frozen=True)
class Choice:
    """What becomes of a row: `row` as it is answered, None when it is left out.

    Attributes:
        is_last: nothing that is asked for comes from here on.
    """

    row: bytes | None
    is_last: bool = False


class _Cursor(msgspec.Struct, array_like=True):
    """Where a row begins, the number that it begins with, and the bytes of the whole."""

    start: int
    number: int
    size: int


async def read_page(
    stored: Stored, choose: Callable[[bytes], Choice], *, limit: int, cursor: str | None, start: int
) -> bytes:
    """Return a document that has the next rows, and `next_cursor` unless they are the last.

    A page may have fewer rows than `limit`, even none, and is still not the last.

    Args:
        stored: where they are.
        choose: says of each row whether it is asked for.
        limit: rows of a page, at most.
        cursor: of the page before.
        start: where the first page begins.

    Raises:
        Invalid: the cursor is none that an answer has given, or not of this result.
    """
    begin = read_cursor(stored, cursor) if cursor else None
    rows: list[bytes] = []
    held, first = 0, begin.start if begin else start
    async with aclosing(stored.rows(first)) as following:
        async for at, row in following:
            if (
                begin is not None
                and at == begin.start
                and not row.startswith(_beginning(stored, begin.number))
            ):
                raise Invalid("cursor", "is none that an answer has given")
            if len(rows) == limit or held > HELD or at - first > SCANNED:
                return _document(stored, rows, _write_cursor(stored, at, row))
            choice = choose(row)
            if choice.is_last:
                break
            if choice.row is not None:
                rows.append(choice.row)
                held += len(choice.row)
    return _document(stored, rows, None)


def read_cursor(stored: Stored, text: str) -> _Cursor:
    """Return what a cursor says.

    Raises:
        Invalid: it is none that an answer has given, or not of this result.
    """
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        cursor = msgspec.json.decode(data, type=_Cursor)
    except (ValueError, binascii.Error, msgspec.DecodeError) as error:
        raise Invalid("cursor", "is none that an answer has given") from error
    if cursor.size != stored.facts.size or not stored.first <= cursor.start < stored.facts.size:
        raise Invalid("cursor", "is not of this result")
    return cursor


def _write_cursor(stored: Stored, at: int, row: bytes) -> str:
    number = int(row[len(stored.shape.start) :].partition(b",")[0].rstrip(b"}"))
    data = msgspec.json.encode(_Cursor(at, number, stored.facts.size))
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _beginning(stored: Stored, number: int) -> bytes:
    return stored.shape.start + str(number).encode()


def _document(stored: Stored, rows: list[bytes], cursor: str | None) -> bytes:
    end = b"]}" if cursor is None else b'],"next_cursor":' + msgspec.json.encode(cursor) + b"}"
    return stored.prefix + stored.shape.opening + b",".join(rows) + end
