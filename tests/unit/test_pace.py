"""A slow line is waited for, one that is held for nothing is not."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from api.problems import Busy, Stalled
from api.transport.pace import Paced, Patience, Places

PATIENCE = Patience(idle=timedelta(seconds=0.2), rate=1000, whole=timedelta(seconds=60))
"""200 bytes within each 0.2 s."""


async def sent(*pieces: int, every: float) -> AsyncIterator[bytes]:
    for size in pieces:
        await asyncio.sleep(every)
        yield bytes(size)


async def taken(body: AsyncIterator[bytes], patience: Patience = PATIENCE) -> int:
    return sum([len(piece) async for piece in Paced(body, patience)])


async def test_a_body_that_comes_at_once_passes() -> None:
    assert await taken(sent(1, 0, 5000, every=0)) == 5001


async def test_one_that_keeps_the_rate_passes_however_long_it_takes() -> None:
    assert await taken(sent(*[100] * 50, every=0.02)) == 5000


async def test_one_that_is_gone_for_a_while_and_makes_up_for_it_passes() -> None:
    assert await taken(sent(1000, 1000, 1000, every=0.1)) == 3000


@pytest.mark.parametrize("every", [0.01, 0.09, 10])
async def test_one_that_comes_byte_by_byte_is_given_up_in_time(every: float) -> None:
    begun = asyncio.get_running_loop().time()
    with pytest.raises(Stalled):
        await taken(sent(*[1] * 1000, every=every))
    assert asyncio.get_running_loop().time() - begun < 3 * PATIENCE.idle.total_seconds()


async def test_the_whole_has_an_end_too() -> None:
    with pytest.raises(Stalled):
        await taken(sent(*[1000] * 1000, every=0.01), Patience(PATIENCE.idle, 1, timedelta(seconds=0.2)))


async def test_nobody_is_blamed_while_we_do_not_read() -> None:
    body = Paced(sent(*[10] * 20, every=0), PATIENCE)
    for _ in range(20):
        assert await anext(body)
        await asyncio.sleep(0.03)


def test_there_are_so_many_places_and_no_more() -> None:
    places = Places(2)
    with places.taken():
        with places.taken(), pytest.raises(Busy, match="All 2 places"), places.taken():
            pass
        with pytest.raises(RuntimeError), places.taken():
            raise RuntimeError
        with places.taken():
            pass
