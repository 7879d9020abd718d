"""What every role shows over HTTP beside Faust's own pages: HTML for people, JSON for programs."""

import asyncio
import html
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from app.clients.kafka.broker import Partition
from app.errors import KadrError
from app.worker import Worker

Check = Callable[[], Awaitable[None]]
Facts = Callable[[], Mapping[str, object]]
Lookup = Callable[[str], Awaitable[Mapping[str, object] | None]]

CHECK_WITHIN: Final = 3.0
"""Seconds for one check of a service; all of them run at the same time."""

RECENTLY: Final = 1.0
"""Seconds for which the answer of a health check is kept, so that probes cost the services little."""


def attach_pages(
    worker: Worker[Any], *, checks: Callable[[], Mapping[str, Check]], facts: Facts | None = None
) -> None:
    """Serve `/health`, `/health/live`, `/health/ready` and `/agents`.

    Args:
        worker: the role.
        checks: gives the services that the role needs beside Kafka, by name; a check raises when one is away.
        facts: more that `/health` says.
    """
    health = _Health(worker, checks, facts or dict)

    async def show_health(view: Any, request: Any) -> Any:  # noqa: ANN401 - Faust has no types
        return _answer(view, request, "Health", await health.look())

    async def show_live(view: Any, _request: Any) -> Any:  # noqa: ANN401 - Faust has no types
        return view.json({"status": "ok"})

    async def show_ready(view: Any, _request: Any) -> Any:  # noqa: ANN401 - Faust has no types
        found = await health.look()
        return view.json(found, status=200 if found["ready"] else 503)

    async def show_agents(view: Any, request: Any) -> Any:  # noqa: ANN401 - Faust has no types
        return _answer(view, request, "Agents", {"agents": await _agents(worker)})

    worker.page("/health")(show_health)
    worker.page("/health/live")(show_live)
    worker.page("/health/ready")(show_ready)
    worker.page("/agents")(show_agents)


def attach_json(worker: Worker[Any], path: str, facts: Facts) -> None:
    """Serve facts as JSON."""

    async def show(view: Any, _request: Any) -> Any:  # noqa: ANN401 - Faust has no types
        return view.json(dict(facts()))

    worker.page(path)(show)


def attach_progress(worker: Worker[Any], progress_of: Lookup) -> None:
    """Serve `/progress/{video_id}`."""

    async def show(view: Any, request: Any, video_id: str) -> Any:  # noqa: ANN401 - Faust has no types
        try:
            found = await progress_of(video_id)
        except KadrError as error:
            return view.json({"status": "unknown", "error": str(error)}, status=503)
        return _found(view, request, f"Progress of {video_id}", found)

    worker.page("/progress/{video_id}")(show)


def attach_rows(
    worker: Worker[Any], rows_of: Callable[[str, int], Awaitable[Mapping[str, object] | None]]
) -> None:
    """Serve `/videos/{video_id}`: what this worker's tables hold of a video."""

    async def show(view: Any, request: Any, video_id: str) -> Any:  # noqa: ANN401 - Faust has no types
        start = request.query.get("start", "0")
        found = await rows_of(video_id, int(start) if start.isdigit() else 0)
        return _found(view, request, f"Rows of {video_id}", found)

    worker.page("/videos/{video_id}")(show)


class _Health:
    """Liveness is that we answer; readiness is that work can go on."""

    def __init__(self, worker: Worker[Any], checks: Callable[[], Mapping[str, Check]], facts: Facts) -> None:
        self._worker = worker
        self._checks = checks
        self._facts = facts
        self._seen: tuple[float, dict[str, object]] = (float("-inf"), {})

    async def look(self) -> dict[str, object]:
        when, found = self._seen
        if time.monotonic() - when > RECENTLY:
            found = await self._look()
            self._seen = (time.monotonic(), found)
        return found

    async def _look(self) -> dict[str, object]:
        worker = self._worker
        named = {"kafka": worker.broker.ping, **self._checks()}
        answers = await asyncio.gather(*(_check(check) for check in named.values()))
        checks: dict[str, str] = dict(zip(named, answers, strict=True))
        checks["assignment"] = "ok" if worker.was_assigned and not worker.rebalancing else "rebalancing"
        checks["tables"] = "ok" if worker.tables.actives_ready or not worker.tables else "recovering"
        ready = all(answer == "ok" for answer in checks.values())
        return {
            **self._facts(),
            "status": "ok",
            "service": worker.role,
            "live": True,
            "ready": ready,
            "checks": checks,
            "partitions": len(worker.assigned_streams()),
        }


async def _check(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_WITHIN):
            await check()
    except (KadrError, TimeoutError) as error:
        return str(error) or "no answer in time"
    return "ok"


async def _agents(worker: Worker[Any]) -> list[dict[str, object]]:
    """Return each agent with its topics, assignment, last offsets and lag."""
    assigned = worker.assigned_streams()
    try:
        committed = await worker.broker.committed(worker.role)
        ends = await worker.broker.log_ends(assigned) if assigned else {}
    except KadrError:
        committed, ends = {}, {}
    agents: list[dict[str, object]] = []
    for name, agent in worker.agents.items():
        topics = list(agent.get_topic_names())
        delivery = worker.deliveries.get(name)
        last = delivery.last_offsets if delivery else {}
        mine = [each for each in assigned if each.topic in topics]
        agents.append(
            {
                "name": name,
                "topics": topics,
                "partitions": [f"{each.topic}/{each.number}" for each in mine],
                "last_offsets": {f"{each.topic}/{each.number}": offset for each, offset in last.items()},
                "lag": _lag(mine, committed, ends),
                "waiting_for": delivery.holding.waiting_for if delivery else None,
            }
        )
    return agents


def _lag(
    partitions: list[Partition], committed: Mapping[Partition, int], ends: Mapping[Partition, int]
) -> int | None:
    """Return how many messages are not committed; None when the broker did not say."""
    if any(each not in ends for each in partitions):
        return None
    return sum(max(0, ends[each] - committed.get(each, 0)) for each in partitions)


def _found(view: Any, request: Any, title: str, found: Mapping[str, object] | None) -> Any:  # noqa: ANN401
    if found is None:
        return view.json({"status": "not_found"}, status=404)
    return _answer(view, request, title, found)


def _answer(view: Any, request: Any, title: str, facts: Mapping[str, object]) -> Any:  # noqa: ANN401
    if "text/html" not in request.headers.get("accept", ""):
        return view.json(dict(facts))
    body = f"<!doctype html><meta charset=utf-8><title>{html.escape(title)}</title>{STYLE}"
    return view.html(f"{body}<h1>{html.escape(title)}</h1>{_table(facts)}")


STYLE: Final = (
    "<style>body{font:15px/1.5 system-ui;margin:2rem}table{border-collapse:collapse}"
    "td,th{border:1px solid #bbb;padding:.2rem .6rem;text-align:left;vertical-align:top}</style>"
)


def _table(value: object) -> str:
    if isinstance(value, Mapping):
        rows = (f"<tr><th>{html.escape(str(key))}<td>{_table(each)}" for key, each in value.items())
        return f"<table>{''.join(rows)}</table>"
    if isinstance(value, list):
        return (
            "".join(_table(each) for each in value) if value and isinstance(value[0], dict) else _line(value)
        )
    return html.escape(str(value))


def _line(values: list[Any]) -> str:
    return html.escape(", ".join(map(str, values)))
