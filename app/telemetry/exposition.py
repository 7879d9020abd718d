"""The numbers of one process, as Prometheus reads them."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from app.domain.failures import SENTENCES
from app.telemetry import metrics
from app.telemetry.metrics import CATALOGUE, OTHER, Role
from app.telemetry.stages import begin_stages

MEDIA_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4

# Each counter and histogram would have a second series with the time at which it began.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library declares no return type

DEATHS: Final = ("decoder_crashed", "decoder_memory", "decoder_timeout")
"""How a decoding child may end without an outcome."""


class Exposition:
    """What one process shows: the numbers of its role, and what the kernel says of it (`process_…`).

    Args:
        role: whose numbers.
    """

    def __init__(self, role: Role) -> None:
        self.registry = CollectorRegistry()
        for entry in CATALOGUE:
            if role in entry.roles:
                self.registry.register(entry.metric)
        ProcessCollector(registry=self.registry)
        metrics.BUILD.info({"version": _version(), "role": role, "python": platform.python_version()})
        begin_stages(role)
        _begin_at_zero()

    def render(self) -> bytes:
        """Return all numbers in Prometheus' text format."""
        return generate_latest(self.registry)


def _begin_at_zero() -> None:
    """Let counters be there before they count: the first failure is else no increase that an alert sees."""
    metrics.VIDEOS_ENDED.labels("ready", "")
    metrics.VIDEOS_ENDED.labels("cancelled", "cancelled")
    for code in (*(SENTENCES.keys() - {"cancelled"}), OTHER):
        metrics.VIDEOS_ENDED.labels("failed", code)
    metrics.SPLITS_ENDED.labels("split", "")
    metrics.SPLITS_ENDED.labels("failed", OTHER)
    for code in ("undecodable_picture", OTHER):
        metrics.FRAMES_FAILED.labels(code)
    for kind in ("submitted", "cancel", "delete"):
        metrics.OUTBOX_PUBLISHED.labels(kind)
    for code in DEATHS:
        metrics.DECODER_DEATHS.labels(code)
    for outcome in ("delivered", "retried", "failed"):
        metrics.WEBHOOK_TRIES.labels(outcome)


def begin_topic(topic: str) -> None:
    """The same of the messages of a topic that this process reads."""
    metrics.MESSAGES_HANDLED.labels(topic)
    for code in ("malformed", "worker_crashed", "rejected", OTHER):
        metrics.MESSAGES_REJECTED.labels(topic, code)


def _version() -> str:
    try:
        return version("kadr")
    except PackageNotFoundError:
        return "0+checkout"  # run from a checkout that was never installed
