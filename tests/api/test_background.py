"""Work that is repeated as long as the process lives."""

import asyncio
import logging
from datetime import timedelta

import pytest

from api.background import running, until_done
from app.errors import Unavailable

AT_ONCE = timedelta(0)
NEVER = timedelta(days=1)


async def test_work_is_repeated_until_the_end_of_the_block() -> None:
    seen_thrice, count = asyncio.Event(), 0

    async def work() -> None:
        nonlocal count
        count += 1
        if count == 3:
            seen_thrice.set()

    async with running((AT_ONCE, work)):
        await asyncio.wait_for(seen_thrice.wait(), 5)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_service_that_is_away_does_not_end_it() -> None:
    is_back = asyncio.Event()
    answers = [Unavailable("S3", "away"), Unavailable("S3", "away"), None]

    async def work() -> None:
        if answers and (error := answers.pop(0)):
            raise error
        is_back.set()

    async with running((AT_ONCE, work)):
        await asyncio.wait_for(is_back.wait(), 5)


@pytest.mark.usefixtures("expects_errors")
async def test_a_mistake_of_ours_ends_the_process(caplog: pytest.LogCaptureFixture) -> None:
    crashed = asyncio.Event()

    async def work() -> None:
        raise ZeroDivisionError

    async with running((NEVER, work), on_crash=crashed.set):
        await asyncio.wait_for(crashed.wait(), 5)
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL]


async def test_what_is_to_be_done_once_is_tried_until_it_is_done() -> None:
    answers = [Unavailable("S3", "away"), None, None]

    async def work() -> None:
        if error := answers.pop(0):
            raise error

    await until_done(work, pause=AT_ONCE)
    assert answers == [None]
