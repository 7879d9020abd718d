"""Whether Kadr's own processes answer, as far as their addresses are known."""

import asyncio
from datetime import UTC, datetime, timedelta
from importlib import metadata
from typing import Final

from app.cli.doctor.clocks import compare
from app.cli.doctor.findings import Finding, ok, warning
from app.cli.doctor.sandbox import judge
from app.clients.http.worker_pages import health_of
from app.settings import Settings

SECOND: Final = timedelta(seconds=1)
"""How finely HTTP tells times."""

REMEDIES: Final = {
    "api": "start it; or set API_URL to where it is",
    "outbox": "start it; or set OUTBOX_URL. Videos are published without this, only a second later",
    "runner": "start it; or set RUNNER_URL. Without it nobody sees progress, frames and renderings",
}


async def look_at_process(name: str, settings: Settings) -> list[Finding]:
    """Ask one of the processes that are spoken to how it is.

    Raises:
        Unavailable: it does not answer.
    """
    url = {"api": settings.api_url, "outbox": settings.outbox_url, "runner": settings.runner_url}[name]
    asked = datetime.now(UTC)
    health = await asyncio.to_thread(health_of, url.rstrip("/"))
    answered = datetime.now(UTC)
    ours, found = metadata.version("kadr"), []
    if health.is_ready:
        found.append(ok("processes", f"{name} ({url}) is ready"))
    else:
        bad = "; ".join(f"{what}: {how}" for what, how in health.checks.items() if how != "ok")
        found.append(
            warning("processes", f"{name} ({url}) is not ready: {bad}"[:300], f"see the log of {name}")
        )
    if health.version and health.version != ours:
        found.append(
            warning("processes", f"{name} is version {health.version}, this is {ours}", "finish the upgrade")
        )
    if health.at is not None:
        found.append(compare(name, health.at, asked=asked, answered=answered, precision=SECOND))
    if health.sandbox:
        found += judge({each: _why(how) for each, how in health.sandbox.items()}, name)
    return found


def _why(told: str) -> str:
    """Return why a protection is not there, from a runner's words for people; empty where it is."""
    return "" if told == "on" else told.removeprefix("off: ")
