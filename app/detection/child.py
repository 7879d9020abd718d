"""Runs the jobs of `app.detection.checkpoint` in their own process, so that torch stays out of this one."""

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import Final, Literal

import msgspec

from app.detection.checkpoint import Outcome, safe_environment
from app.errors import Misconfigured

logger = logging.getLogger(__name__)

PROJECT: Final = Path(__file__).resolve().parents[2]
"""Where `python -m app.…` finds the package, installed or not."""

PATIENCE: Final = 900.0
"""Seconds until a job is given up: the largest models have 250 MB, and take minutes on a small machine."""


async def run_child(job: Literal["export", "fetch"], what: str, folder: Path, *, data_dir: Path) -> Outcome:
    """Do a job and return its outcome; the process has ended when this returns or raises.

    Args:
        job: `export` makes an OpenVINO graph of weights, `fetch` downloads weights.
        what: the weights file (absolute), or the name of the model.
        folder: where the job writes; it exists.
        data_dir: where Ultralytics may keep its settings.

    Raises:
        Misconfigured: the process died or took too long, as for want of memory.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.detection.checkpoint", job, what, str(folder)),
        cwd=PROJECT,
        env=os.environ | safe_environment(data_dir, offline=job != "fetch"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            answer, log = await process.communicate()
    except TimeoutError as error:
        raise Misconfigured(f"the {job} of {what} took longer than {PATIENCE:.0f} s") from error
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
