"""The two ways in which a client sends a video: as a part of a form, or as the whole body of a request."""

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from typing import Final, Protocol

from api.intake.forms import Form, PartBegun
from api.intake.orders import Pair
from api.problems import Invalid, Stalled

REST_WITHIN: Final = 60.0
"""Seconds for what follows the file in the form: the object is complete meanwhile, and nothing names it."""


@dataclass(frozen=True)
class Announced:
    """What is known of a file before its first byte.

    Attributes:
        filename: as the client calls it.
        content_type: as the client says.
        pairs: what the client has said of it so far.
        is_there: whether there is a file at all.
    """

    filename: str | None = None
    content_type: str = ""
    pairs: list[Pair] = field(default_factory=list)
    is_there: bool = True


class SentFile(Protocol):
    """A file on its way. Its methods are called in this order, each once."""

    async def announced(self) -> Announced:
        """Return what comes before the file."""

    def pieces(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the file."""

    async def rest(self) -> list[Pair]:
        """Return what the client says after the file.

        Raises:
            Invalid: it is not the end of a request.
            Stalled: it does not come to an end.
        """


class FileInForm:
    """A file that is the part `file` of a form.

    Args:
        form: the form.
        known: fields that are read; all others are passed over. None reads all.
    """

    def __init__(self, form: Form, *, known: Collection[str] | None = None) -> None:
        self._form = form
        self._known = known

    async def announced(self) -> Announced:
        """Return what comes before the file."""
        pairs: list[Pair] = []
        while (part := await self._form.next_part()) is not None and part.name != "file":
            pairs += await self._pair(part)
        if part is None:
            return Announced(pairs=pairs, is_there=False)
        return Announced(part.filename, part.content_type, pairs)

    def pieces(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the file."""
        return self._form.pieces()

    async def rest(self) -> list[Pair]:
        """Return the fields behind the file."""
        pairs: list[Pair] = []
        try:
            async with asyncio.timeout(REST_WITHIN):
                while (part := await self._form.next_part()) is not None:
                    if part.name == "file":
                        raise Invalid("file", "is there twice: send one video per request")
                    pairs += await self._pair(part)
        except TimeoutError:
            raise Stalled from None
        return pairs

    async def _pair(self, part: PartBegun) -> list[Pair]:
        if self._known is not None and part.name not in self._known:
            return []
        return [(part.name, await self._form.field())]


class FileAsBody:
    """A file that is the body of a request.

    Args:
        announced: what the request's head says.
        body: its pieces.
    """

    def __init__(self, announced: Announced, body: AsyncIterator[bytes]) -> None:
        self._announced = announced
        self._body = body

    async def announced(self) -> Announced:
        """Return what the head says."""
        return self._announced

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the body."""
        async for piece in self._body:
            yield piece

    async def rest(self) -> list[Pair]:
        """Nothing follows."""
        return []
