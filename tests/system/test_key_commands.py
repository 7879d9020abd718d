"""`kadr keys` on a real server, and what the command line does with a key."""

import json
import re
import socket
from pathlib import Path

import httpx
import pytest

from app.cli import exits
from app.cli.addresses import find_addresses
from app.cli.entry import run
from app.settings import Settings
from tests.support.api_process import open_api

pytestmark = pytest.mark.servers


@pytest.fixture(autouse=True)
def _servers(server_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in server_environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.delenv("KADR_API_KEY", raising=False)


def test_a_key_is_shown_once_and_listed_without_its_secret(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run(["keys", "create", "camera 7", "--scope", "read", "--scope", "submit", "--max-waiting", "5"]) == 0
    )
    shown = capsys.readouterr()
    key = shown.out.strip()
    assert re.fullmatch(r"kadr_[0-9a-f]{12}_[0-9a-f]{64}", key)
    key_id, secret = key.split("_")[1:]
    assert f"{key_id} may submit, read" in shown.err
    assert run(["keys", "list"]) == 0
    table = capsys.readouterr().out
    (line,) = [each for each in table.splitlines() if key_id in each]
    assert "camera 7" in line
    assert "submit,read" in line
    assert secret not in table
    assert run(["keys", "list", "--json"]) == 0
    text = capsys.readouterr().out
    (facts,) = [each for each in json.loads(text) if each["id"] == key_id]
    assert facts["scopes"] == ["submit", "read"]
    assert (facts["max_waiting"], facts["bytes_per_day"], facts["revoked_at"]) == (5, None, None)
    assert not any(word in text for word in (secret, "hash", "digest"))


def test_a_key_is_revoked_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["keys", "create", "x", "--scope", "admin", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["key"].split("_")[1] == made["id"]
    assert run(["keys", "revoke", made["id"]]) == 0
    assert capsys.readouterr().out == f"{made['id']} is revoked.\n"
    assert run(["keys", "revoke", made["id"]]) == exits.EXIT_FAILED
    assert run(["keys", "revoke", "nobody"]) == exits.EXIT_FAILED
    assert "nobody" in capsys.readouterr().err
    assert run(["keys", "list", "--json"]) == 0
    (facts,) = [each for each in json.loads(capsys.readouterr().out) if each["id"] == made["id"]]
    assert facts["revoked_at"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["x"],
        ["x", "--scope", "everything"],
        ["", "--scope", "read"],
        ["a\x1b[1m", "--scope", "read"],
        ["x", "--scope", "read", "--max-waiting", "0"],
        ["x", "--scope", "read", "--bytes-per-day", "-1"],
    ],
)
def test_what_makes_no_key_is_refused(arguments: list[str]) -> None:
    assert run(["keys", "create", *arguments]) == 2


def test_without_mongo_a_key_command_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MONGO_URI", "mongodb://127.0.0.1:1/")
    assert run(["keys", "list"]) == exits.EXIT_UNAVAILABLE
    assert "Mongo is not available" in capsys.readouterr().err


def test_the_command_line_sends_the_key_of_the_environment(
    servers: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    clip = tmp_path / "a.mp4"
    clip.write_bytes(b"no video")
    with open_api(servers, tmp_path / "log", given={"API_KEYS": "required"}) as api:
        monkeypatch.setenv("API_URL", api.url)
        assert run(["submit", str(clip)]) == exits.EXIT_FAILED
        assert "An API key is needed" in "".join(capsys.readouterr())
        assert run(["keys", "create", "x", "--scope", "submit", "--scope", "read"]) == 0
        monkeypatch.setenv("KADR_API_KEY", capsys.readouterr().out)
        assert run(["submit", str(clip)]) == 0
        assert run(["status"]) == 0
        shown = capsys.readouterr()
        assert "1 of 1 videos" in shown.err
        video_id = shown.out.split()[0]
        assert run(["status", video_id]) == 0
    assert "kadr_" not in (tmp_path / "log").read_text(encoding="utf-8")


def test_a_key_is_not_shown_with_the_addresses() -> None:
    found = find_addresses({"KADR_API_KEY": "kadr_secret"})
    assert found.key == "kadr_secret"
    assert "secret" not in repr(found)


def test_an_api_that_listens_on_every_address_asks_only_those_from_elsewhere(
    servers: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = other_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    with open_api(servers, tmp_path / "log", host="0.0.0.0") as api:  # noqa: S104 - what is tested
        here, there = f"{api.url}/api/status/all", f"http://{address}:{api.port}/api/status/all"
        assert httpx.get(here, trust_env=False).status_code == 200
        refused = httpx.get(there, trust_env=False)
        assert refused.status_code == 401
        assert "kadr keys create" in refused.json()["detail"]
        assert httpx.get(there.replace("/api/status/all", "/health/live"), trust_env=False).status_code == 200
        assert run(["keys", "create", "x", "--scope", "read"]) == 0
        key = capsys.readouterr().out.strip()
        headers = {"Authorization": f"Bearer {key}"}
        assert httpx.get(there, headers=headers, trust_env=False).status_code == 200


def other_address() -> str | None:
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return None
        address: str = probe.getsockname()[0]
    return None if address.startswith("127.") else address
