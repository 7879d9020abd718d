"""The event loop of every worker."""

import asyncio

import uvloop


def choose_event_loop() -> None:
    """Let this process run on uvloop; to be called before it has a loop.

    Faust would do it for `--loop uvloop`, which everybody who starts a worker would have to know.
    """
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
