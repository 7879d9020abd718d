"""What a worker tells Prometheus at `/metrics`, beside its other pages."""

import time
from typing import Any

from app.delivery import Delivery
from app.telemetry.exposition import MEDIA_TYPE, Exposition
from app.telemetry.metrics import AGENT_HELD, AGENT_WAITING, SETTLED, Role
from app.worker import Worker


def attach_metrics(worker: Worker[Any], role: Role) -> None:
    """Serve `/metrics`. What it says is in this process's memory: no server is asked when Prometheus asks."""
    shown = Exposition(role)
    SETTLED.set_function(lambda: worker.is_settled)
    for name, delivery in worker.deliveries.items():
        _follow(name, delivery)

    async def show(view: Any, _request: Any) -> Any:  # noqa: ANN401 - Faust has no types
        return view.bytes(shown.render(), headers={"Content-Type": MEDIA_TYPE})

    worker.page("/metrics")(show)


def _follow(name: str, delivery: Delivery) -> None:
    AGENT_WAITING.labels(name).set_function(lambda: delivery.holding.waiting_for is not None)
    AGENT_HELD.labels(name).set_function(lambda: delivery.holding.held(time.monotonic()))
