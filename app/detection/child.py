"""Runs jobs that need torch or NNCF in a process of their own, so that neither comes into this one."""

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from app.detection.checkpoint import safe_environment
from app.detection.facts import Outcome
from app.errors import Misconfigured
from app.settings import Settings

logger = logging.getLogger(__name__)

PROJECT: Final = Path(__file__).resolve().parents[2]
"""Where `python -m app.…` finds the package, installed or not."""

Job: TypeAlias = Literal["export", "inspect", "fetch", "score", "quantize"]

PATIENCE: Final = 900.0
"""Seconds until a job is given up: the largest models have 250 MB, and take minutes on a small machine."""

QUANTIZING_PATIENCE: Final = 4 * 3600.0
"""The same for `quantize`, which runs the f32 graph several times over each of hundreds of pictures."""

SETTINGS: Final = frozenset(name.upper() for name in Settings.model_fields)
"""Variables that are ours."""


async def run_child(job: Job, what: str, folder: Path, *, data_dir: Path, sha256: str = "") -> Outcome:
    """Do a job and return its outcome; the process has ended when this returns or raises.

    Args:
        job: `export` makes an OpenVINO graph of weights, `inspect` only looks at them, `fetch` downloads
            weights, `score` holds boxes against labels, `quantize` makes an INT8 graph.
        what: the weights file (absolute), the name of the model, or a file of JSON that says more.
        folder: where the job writes; it exists.
        data_dir: where Ultralytics may keep its settings.
        sha256: of the weights file, for `export` and `inspect`.

    Raises:
        Misconfigured: the process died or took too long, as for want of memory.
    """
    module = "quantization" if job == "quantize" else "checkpoint"
    patience = QUANTIZING_PATIENCE if job == "quantize" else PATIENCE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"app.detection.{module}", job, what, *filter(None, [sha256]), str(folder)),
        cwd=PROJECT,
        env=_environment() | safe_environment(data_dir, offline=job != "fetch"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(patience):
            answer, log = await process.communicate()
    except TimeoutError as error:
        raise Misconfigured(f"the {job} of {what} took longer than {patience:.0f} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        lines = log.decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        raise Misconfigured(f"the {job} of {what} ended with status {process.returncode}: {last}")
    logger.debug("model job done", extra={"job": job, "model": what, "output": log.decode(errors="replace")})
    return msgspec.json.decode(answer, type=Outcome)


def _environment() -> dict[str, str]:
    """Return this process's environment without our settings: no job needs one, and some are secrets."""
    return {name: value for name, value in os.environ.items() if name.upper() not in SETTINGS}
