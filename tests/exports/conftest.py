"""A child that writes a result in some form, as the API starts it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest

from app.domain.messages import FrameResult
from app.exports.orders import Kind, Order
from app.exports.process import open_export
from app.exports.selection import Selection
from tests.support.made_results import result_of

Export = Callable[..., Awaitable[bytes]]


async def in_pieces(data: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    """Yield bytes as S3 would."""
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def exported(kind: Kind, data: bytes, selection: Selection | None = None) -> bytes:
    """Return what a child makes of a result."""
    order = Order(kind, selection or Selection(), memory=1 << 30)
    async with open_export(order, in_pieces(data)) as written:
        return b"".join([piece async for piece in written])


@pytest.fixture
def export() -> Export:
    """Writes frames in some form; with `follow` their objects are followed first."""

    async def write(
        kind: Kind, frames: Sequence[FrameResult], selection: Selection | None = None, *, follow: bool = False
    ) -> bytes:
        data = await result_of(frames)
        return await exported(kind, await exported("tracked", data) if follow else data, selection)

    return write
