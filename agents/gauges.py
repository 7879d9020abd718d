"""How much waits: looked up now and then, so that nothing is asked of a server when Prometheus asks us."""

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from app.backpressure import Backlog
from app.errors import RetryLater
from app.telemetry.metrics import (
    BACKLOG,
    FRAMES_IN_FLIGHT,
    INFERENCE_WORKERS,
    OUTBOX_OLDEST,
    VIDEOS_OPEN,
    VIDEOS_WAITING,
    VIDEOS_WAITING_OLDEST,
)
from app.worker import Worker

logger = logging.getLogger(__name__)

LOOK_EVERY: Final = 10.0
"""Seconds between two looks: Prometheus asks every 15 s by default."""

UNKNOWN: Final = float("nan")
"""What a number is while its server does not answer."""


class Work(Protocol):
    """The videos that a runner has open."""

    @property
    def unconfirmed(self) -> int:
        """Return how many frames are on their way to the broker."""

    @property
    def open(self) -> dict[str, Any]:
        """Return the videos, by id."""


def follow_outbox(worker: Worker[Any]) -> None:
    """Let this outbox worker tell for how long the first video has waited that is not published."""
    seen: dict[str, datetime | None] = {"oldest": None}
    OUTBOX_OLDEST.set_function(lambda: _age(seen["oldest"]))

    async def look() -> None:
        seen["oldest"] = await worker.clients.claims.oldest_new()

    async def follow_outbox_for_ever() -> None:
        await _repeat(worker, look, _keep)

    worker.task(follow_outbox_for_ever)


def follow_runner(
    worker: Worker[Any],
    work: Work,
    *,
    backlog: Callable[[], Awaitable[Backlog]],
    inference_workers: Callable[[], Awaitable[int]],
) -> None:
    """Let this runner tell what waits before it and behind it.

    Args:
        worker: the runner.
        work: the videos that it has open.
        backlog: asks how many frames wait.
        inference_workers: asks for whom they wait; 0 where there is nobody.
    """
    FRAMES_IN_FLIGHT.set_function(lambda: work.unconfirmed)
    VIDEOS_OPEN.set_function(lambda: len(work.open))

    async def look() -> None:
        BACKLOG.set((await backlog()).waiting)
        INFERENCE_WORKERS.set(await inference_workers())
        accepted = await worker.clients.records.unopened()
        VIDEOS_WAITING.set(len(accepted))
        VIDEOS_WAITING_OLDEST.set(_age(accepted[0] if accepted else None))

    def forget() -> None:
        for gauge in (BACKLOG, INFERENCE_WORKERS, VIDEOS_WAITING, VIDEOS_WAITING_OLDEST):
            gauge.set(UNKNOWN)

    async def follow_runner_for_ever() -> None:
        await _repeat(worker, look, forget)

    worker.task(follow_runner_for_ever)


async def _repeat(
    worker: Worker[Any], look: Callable[[], Awaitable[None]], forget: Callable[[], None]
) -> None:
    while not worker.should_stop:
        try:
            await look()
        except RetryLater as error:
            forget()
            logger.debug("not looked: %s", error)
        await worker.sleep(LOOK_EVERY)


def _keep() -> None:
    """What was seen last grows older, and that is what is to be told."""


def _age(since: datetime | None) -> float:
    return 0.0 if since is None else max(0.0, (datetime.now(UTC) - since).total_seconds())
