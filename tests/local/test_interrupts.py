"""A command that is interrupted ends in an orderly way, wherever it was."""

import asyncio
import os
import signal

import pytest

from app.local.interrupts import NUMBERS, interruptible, run_interruptible

pytestmark = pytest.mark.usefixtures("in_terminal")

each_signal = pytest.mark.parametrize("number", NUMBERS, ids=lambda each: each.name)


@each_signal
def test_what_is_interrupted_in_the_middle_of_a_step_is_cancelled_at_its_end(number: signal.Signals) -> None:
    seen = []

    async def work() -> None:
        os.kill(os.getpid(), number)
        seen.append("went on")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            seen.append("cleared away")
            raise

    with interruptible(), pytest.raises(KeyboardInterrupt):
        run_interruptible(work())
    assert seen == ["went on", "cleared away"]


@each_signal
def test_a_second_signal_ends_what_does_not_end(number: signal.Signals) -> None:
    async def work() -> None:
        asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), number)
        for _ in range(2):
            try:
                os.kill(os.getpid(), number)
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                continue

    with interruptible(), pytest.raises(KeyboardInterrupt):
        run_interruptible(work())


def test_what_is_not_interrupted_gives_its_result_and_leaves_signals_as_they_were() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 3

    with interruptible():
        before = [signal.getsignal(number) for number in NUMBERS]
        assert run_interruptible(work()) == 3
        assert [signal.getsignal(number) for number in NUMBERS] == before


def test_a_cancellation_of_its_own_is_no_interruption() -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with interruptible(), pytest.raises(asyncio.CancelledError):
        run_interruptible(work())


def test_what_nohup_has_started_outlives_its_terminal() -> None:
    async def work() -> int:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0)
        return 3

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible():
            assert run_interruptible(work()) == 3
    finally:
        signal.signal(signal.SIGHUP, before)
