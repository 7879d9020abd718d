"""What is installed is all that the code reads."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PACKAGES = ("agents", "api", "app", "models", "tables")


def tracked(*folders: str) -> set[str]:
    """Return the files of the repository below these folders."""
    command = (
        "git",
        "-C",
        str(ROOT),
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        *folders,
    )
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no checkout of git: nobody knows which files are ours")
    return set(listed.strip("\0").split("\0"))


def test_a_wheel_holds_every_file_of_the_packages_and_no_other(tmp_path: Path) -> None:
    """The page, its words, Kafka's jars by their hashes and the demo model are read beside the code."""
    command = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path))
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = tracked(*PACKAGES)
    assert {"api/page/index.html", "app/local/kafka.lock.json", "models/demo.pt"} <= expected
    assert held == expected
