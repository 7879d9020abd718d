"""All looks, each with an end: a server that is away is a finding, and keeps nobody waiting."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeAlias

from app.cli.doctor.choices import look_at_choices
from app.cli.doctor.disks import look_at_disks
from app.cli.doctor.findings import Finding
from app.cli.doctor.kafka import look_at_kafka
from app.cli.doctor.model import look_at_model
from app.cli.doctor.mongo import look_at_main, look_at_runner
from app.cli.doctor.processes import REMEDIES, look_at_process
from app.cli.doctor.sandbox import look_at_sandbox
from app.cli.doctor.storage import look_at_storage
from app.cli.doctor.versions import look_at_versions
from app.errors import KadrError, Misconfigured
from app.settings import Settings

WITHIN: Final = 30.0
"""Seconds for one look. A server that is away is given up after a few; loading a model may take ten."""

Look: TypeAlias = Callable[[Settings], Awaitable[list[Finding]]]

_SERVERS: Final[Sequence[tuple[str, Look, str]]] = (
    ("kafka", look_at_kafka, "start Kafka, or set KAFKA_BOOTSTRAP_SERVERS"),
    ("mongo", look_at_main, "start Mongo, or set MONGO_URI"),
    ("mongo", look_at_runner, "start Mongo, or set RUNNER_MONGO_URI"),
    ("s3", look_at_storage, "start the S3 server, or set MINIO_ENDPOINT and its keys"),
)

_OURS: Final[Sequence[tuple[str, Look, str]]] = tuple(
    ("processes", partial(look_at_process, name), remedy) for name, remedy in REMEDIES.items()
)

TRIED: Final[Sequence[tuple[str, Look, str]]] = (
    ("model", look_at_model, "`kadr model info` says more"),
    ("sandbox", look_at_sandbox, "docs/security.md"),
)
"""What is tried on this machine, one after the other: a model that is loaded holds up everything else."""

ASKED: Final[Sequence[tuple[str, Look, str]]] = (*_SERVERS, *_OURS)
"""Who is asked, all at the same time."""


async def examine(
    settings: Settings,
    *,
    asked: Sequence[tuple[str, Look, str]] = ASKED,
    tried: Sequence[tuple[str, Look, str]] = TRIED,
) -> list[Finding]:
    """Look at everything; return what was found, in a fixed order."""
    found = [*look_at_versions(), *look_at_choices(settings), *look_at_disks(settings)]
    for some in await asyncio.gather(*(_look(*each, settings) for each in asked)):
        found += some
    for each in tried:
        found += await _look(*each, settings)
    return found


async def _look(check: str, look: Look, remedy: str, settings: Settings) -> list[Finding]:
    try:
        async with asyncio.timeout(WITHIN):
            return await look(settings)
    except TimeoutError:
        return [Finding(check, "away", f"no answer in {WITHIN:.0f} s", remedy)]
    except Misconfigured as error:
        return [Finding(check, "wrong", str(error), remedy)]
    except KadrError as error:
        return [Finding(check, "away", " ".join(str(error).split())[:200], remedy)]
