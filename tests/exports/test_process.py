"""A child that does not do what it should is noticed, and none is left."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.errors import Unavailable
from app.exports.orders import Order
from app.exports.process import ExportFailed, open_export
from app.exports.selection import Selection
from tests.exports.conftest import exported, in_pieces
from tests.support.made_results import frames_of, made_result, result_of


def open_pipes() -> set[str]:
    """The pipes that this process holds an end of, as Linux names them."""
    links = (path.readlink().name for path in Path("/proc/self/fd").iterdir() if path.is_symlink())
    return {name for name in links if name.startswith("pipe:")}


async def test_a_result_that_breaks_off_is_never_written_as_if_it_were_whole() -> None:
    data = await result_of(frames_of(5000))
    with pytest.raises(ExportFailed, match="breaks off"):
        await exported("csv", data[:-100])


async def test_a_source_that_goes_away_is_said_to_be_away() -> None:
    data = await result_of(frames_of(5000))

    async def source() -> AsyncIterator[bytes]:
        yield data[:1000]
        raise Unavailable("S3", "the test took it away")

    async with open_export(Order("csv"), source()) as written:
        with pytest.raises(Unavailable):
            [piece async for piece in written]


async def test_one_that_needs_too_much_memory_is_ended() -> None:
    data = await result_of(frames_of(20_000, objects=5))
    async with open_export(Order("yolo", memory=16 << 20), in_pieces(data)) as written:
        with pytest.raises(ExportFailed):
            [piece async for piece in written]


async def test_one_that_takes_too_long_is_ended() -> None:
    order = Order("tracked", cpu_seconds=3)
    async with open_export(order, made_result("a", 20_000, objects=30)) as written:
        with pytest.raises(ExportFailed, match="took too long"):
            [piece async for piece in written]


async def test_a_reader_that_goes_away_leaves_no_child_and_no_pipe() -> None:
    source = made_result("a", 50_000, objects=5)
    before = open_pipes()
    async with open_export(Order("jsonl"), source) as written:
        assert await anext(written)
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert "feed export" not in names
    assert open_pipes() <= before


async def test_what_comes_after_the_last_second_that_is_asked_for_is_not_read() -> None:
    taken = 0

    async def source() -> AsyncIterator[bytes]:
        nonlocal taken
        async for piece in made_result("a", 100_000, objects=5):
            taken += 1
            yield piece

    async with open_export(Order("csv", Selection(end=2.0)), source()) as written:
        text = b"".join([piece async for piece in written])
    assert text.splitlines()[-1].startswith(b"45,1.8,")
    assert taken < 50


async def test_a_pipe_that_breaks_for_want_of_memory_is_not_taken_for_the_end_of_a_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = await result_of(frames_of(5000))
    write = os.write

    def write_in_need(file: int, piece: bytes) -> int:
        if len(piece) > 1000:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        return write(file, piece)

    async with open_export(Order("csv"), in_pieces(data)) as written:
        monkeypatch.setattr(os, "write", write_in_need)
        with pytest.raises(ExportFailed, match=os.strerror(errno.ENOMEM)):
            [piece async for piece in written]
