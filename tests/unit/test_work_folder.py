"""The work folder is ours alone, and what killed processes left is removed."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.errors import Unavailable
from app.work_folder import WorkFolder, open_work_folder

KILLED = """
import os, sys
from pathlib import Path
from app.work_folder import open_work_folder
with open_work_folder(Path(sys.argv[1])) as folder:
    (folder.path / "input").write_bytes(b"video")
    os.kill(os.getpid(), 9)
"""


def test_the_folder_is_gone_at_the_end(tmp_path: Path) -> None:
    with open_work_folder(tmp_path / "work") as folder:
        (folder.path / "input").write_bytes(b"video")

    assert list((tmp_path / "work").iterdir()) == []


def test_what_a_killed_process_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()

    with open_work_folder(tmp_path):
        assert not left.exists()


def test_a_folder_in_use_stays_when_another_process_starts(tmp_path: Path) -> None:
    with open_work_folder(tmp_path) as first, open_work_folder(tmp_path) as second:
        assert first.path.is_dir()
        assert second.path.is_dir()
        assert first.path != second.path


def test_what_does_not_fit_is_not_begun(tmp_path: Path) -> None:
    folder = WorkFolder(tmp_path)
    with (
        folder.place() as file,
        pytest.raises(Unavailable, match=f"{1 << 60} bytes are needed"),
        folder.filling(file, 1 << 60),
    ):
        pytest.fail("it was begun")


def test_room_is_counted_once_when_several_files_are_written(tmp_path: Path) -> None:
    folder = WorkFolder(tmp_path)
    half = shutil.disk_usage(tmp_path).free * 2 // 3
    with folder.place() as first, folder.place() as second, folder.place() as third:
        with folder.filling(first, half):
            with pytest.raises(Unavailable), folder.filling(second, half):
                pytest.fail("it was begun")
            with folder.filling(third, 1000):
                third.write_bytes(b"video")
        with folder.filling(second, half):
            second.write_bytes(b"video")


def test_a_disk_that_is_full_after_all_is_a_reason_to_wait(tmp_path: Path) -> None:
    folder = WorkFolder(tmp_path)
    with folder.place() as file, pytest.raises(Unavailable, match="No space left"), folder.filling(file, 1):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_somebody_has_removed_is_made_again(tmp_path: Path) -> None:
    folder = WorkFolder(tmp_path / "gone")
    with folder.place() as file:
        file.write_bytes(b"video")


def test_a_folder_that_cannot_be_made_is_a_reason_to_wait(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    with pytest.raises(Unavailable), WorkFolder(tmp_path / "file").place():
        pytest.fail("there is no such place")
