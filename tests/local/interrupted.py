"""Entry: work that interrupts itself, in a process of its own, and says what became of it.

`python -m tests.local.interrupted CASE SIGNAL`. Not in the process of the tests: a signal that went wrong
would take all of them with it, and say nothing.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Final

from app.local.interrupts import NUMBERS, interruptible, run_interruptible


def say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


async def in_a_step(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    say("went on")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        await asyncio.sleep(0.01)
        say("cleared away")
        raise


async def endless(number: signal.Signals) -> None:
    asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), number)
    for _ in range(2):
        try:
            os.kill(os.getpid(), number)
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            say("goes on")


async def outlived(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    await asyncio.sleep(0)
    say("went on")


async def cancelled(_number: signal.Signals) -> None:
    raise asyncio.CancelledError


async def quiet(_number: signal.Signals) -> int:
    await asyncio.sleep(0)
    return 3


CASES: Final[dict[str, Callable[[signal.Signals], Awaitable[object]]]] = {
    each.__name__: each for each in (in_a_step, endless, outlived, cancelled, quiet)
}


def main() -> None:
    work, number = CASES[sys.argv[1]], signal.Signals[sys.argv[2]]

    async def run() -> object:
        return await work(number)

    with interruptible():
        before = [signal.getsignal(each) for each in NUMBERS]
        try:
            say(run_interruptible(run()))
        except BaseException as error:  # noqa: BLE001 - told, whatever it is
            say(type(error).__name__)
        if [signal.getsignal(each) for each in NUMBERS] == before:
            say("as before")


if __name__ == "__main__":
    main()
