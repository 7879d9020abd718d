"""Secrets of the local servers: made once, the same for everybody, private."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.local.credentials import load_credentials
from app.local.failures import FileDamaged


def test_credentials_are_generated_once(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    assert load_credentials(path) == load_credentials(path)
    assert list(tmp_path.iterdir()) == [path]


def test_two_folders_have_different_secrets(tmp_path: Path) -> None:
    one, other = load_credentials(tmp_path / "a"), load_credentials(tmp_path / "b")
    assert one.mongo_password != other.mongo_password
    assert one.s3_secret_key != other.s3_secret_key


def test_only_the_owner_may_read_them(tmp_path: Path) -> None:
    load_credentials(tmp_path / "credentials.json")
    assert stat.S_IMODE((tmp_path / "credentials.json").stat().st_mode) == 0o600


def test_whoever_comes_at_the_same_time_gets_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(load_credentials, [tmp_path / "credentials.json"] * 32))
    assert len(set(found)) == 1


def test_a_secret_is_not_shown(tmp_path: Path) -> None:
    found = load_credentials(tmp_path / "credentials.json")
    assert found.mongo_password not in repr(found)
    assert found.s3_secret_key not in repr(found)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"mongo_user": "kadr"}'])
def test_a_damaged_file_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    path = tmp_path / "credentials.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileDamaged, match=r"credentials\.json cannot be used .* DATA_DIR"):
        load_credentials(path)
    assert path.read_text(encoding="utf-8") == text
