"""The work folder is ours alone, and what killed processes left is removed."""

import subprocess
import sys
from pathlib import Path

from app.work_folder import open_work_folder

KILLED = """
import os, sys
from pathlib import Path
from app.work_folder import open_work_folder
with open_work_folder(Path(sys.argv[1])) as folder:
    (folder / "input").write_bytes(b"video")
    os.kill(os.getpid(), 9)
"""


def test_the_folder_is_gone_at_the_end(tmp_path: Path) -> None:
    with open_work_folder(tmp_path / "work") as folder:
        (folder / "input").write_bytes(b"video")

    assert list((tmp_path / "work").iterdir()) == []


def test_what_a_killed_process_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()

    with open_work_folder(tmp_path):
        assert not left.exists()


def test_a_folder_in_use_stays_when_another_process_starts(tmp_path: Path) -> None:
    with open_work_folder(tmp_path) as first, open_work_folder(tmp_path) as second:
        assert first.is_dir()
        assert second.is_dir()
        assert first != second
