"""An attack on the API's own process: it stays quick meanwhile, and nothing is left of it."""

import functools
import logging
import time
from collections.abc import Callable
from typing import Final

from tests.support.api_process import ApiProcess, Kept, kept, wait_until_kept
from tests.support.health_poller import polled_health

logger = logging.getLogger(__name__)

DELAY: Final = 0.1
"""Seconds that a health check may take meanwhile, 99 times in a hundred."""

BUSY: Final = 4
"""How many times as long as alone it may take, where that is more: on a machine that others have filled a
process that works all the time waits for its turn longer than one that sleeps."""


def under(api: ApiProcess, attack: Callable[[], int | None], *, plus: int = 0) -> None:
    """Attack, and check that health was quick throughout and what is kept of it.

    As many uploads as `plus` says, and as many more as the attack answers.
    """
    for is_last in (False, False, True):
        before = kept(api.servers)
        with polled_health(api.port) as delays:
            more = attack() or 0
        logger.info("health", extra={"p99": delays.p99, "most": max(delays.seconds)})
        wait_until_kept(api.servers, functools.partial(is_same, before, plus=plus + more))
        if delays.p99 < DELAY:
            return
        alone = idle_p99(api)
        if delays.p99 < BUSY * alone:
            logger.warning("too busy a machine", extra={"p99": delays.p99, "alone": alone})
            return
        assert not is_last, f"p99 {delays.p99:.3f} s, the third time, and {alone:.3f} s alone"


def idle_p99(api: ApiProcess) -> float:
    """Return the same when nobody attacks."""
    with polled_health(api.port) as delays:
        time.sleep(3)
    return delays.p99


def is_same(before: Kept, now: Kept, *, plus: int) -> bool:
    added = len(now.objects - before.objects)
    return (
        added == plus == now.documents - before.documents
        and before.objects <= now.objects
        and now.unfinished == before.unfinished
    )
