"""Each process loads what it needs and nothing of the others: seconds and hundreds of MB depend on it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = frozenset(
    {
        "aiokafka",
        "av",
        "cv2",
        "fastapi",
        "faust",
        "httpx",
        "minio",
        "numpy",
        "openvino",
        "pyarrow",
        "pymongo",
        "rocksdict",
        "scipy",
        "supervision",
        "torch",
        "trackers",
        "ultralytics",
    }
)

ALLOWED = {
    "app.roles.outbox": {"faust", "aiokafka", "rocksdict", "pymongo", "minio"},
    "app.roles.runner": {"faust", "aiokafka", "rocksdict", "pymongo", "minio"},
    "app.roles.inference": {"faust", "aiokafka", "rocksdict", "cv2", "numpy", "openvino", "minio"},
    "app.roles.results": {"faust", "aiokafka", "rocksdict", "pymongo", "minio"},
    "api.main": {"fastapi", "httpx", "pymongo", "minio"},
    "app.cli": {"httpx", "aiokafka", "pymongo", "minio"},
    "app.decoding.child": {"av", "cv2", "numpy"},
    "app.exports.child": set(),
    "app.domain.messages": set(),
}
"""What a process may load when its module is imported; minio everywhere, for large bodies set aside."""


@pytest.mark.parametrize("module", ALLOWED)
def test_a_process_loads_only_what_it_needs(module: str, tmp_path: Path) -> None:
    script = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"DATA_DIR": str(tmp_path)},
        cwd=Path(__file__).parents[2],
    )
    loaded = HEAVY & {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded <= ALLOWED[module]


def test_what_is_absent_is_absent_because_nobody_asked_for_it() -> None:
    """Otherwise the test above would also pass where nothing is installed."""
    script = f"import importlib.util as u; print(*(n for n in {sorted(HEAVY)!r} if u.find_spec(n)))"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    )
    wanted = {"torch", "openvino", "av", "cv2", "ultralytics", "pyarrow", "trackers"}
    assert wanted <= set(done.stdout.split())
