"""A real Prometheus that looks at a running Kadr as `deploy/prometheus` says, but more often."""

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import msgspec
import yaml

from tests.support.processes import end_process

PROGRAM: Final = shutil.which("prometheus")

FOLDER: Final = Path(__file__).parents[2] / "deploy/prometheus"

INTERVAL: Final = "1s"


Form = TypeVar("Form")


class Rule(msgspec.Struct, rename="camel"):
    """An alert, and how it is: whether it could be computed, and `inactive`, `pending` or `firing`."""

    name: str
    health: str
    state: str
    last_error: str = ""


class _Series(msgspec.Struct):
    result: list[dict[str, Any]]


class _Answer(msgspec.Struct):
    data: _Series


class _Values(msgspec.Struct):
    data: list[str]


class _Group(msgspec.Struct):
    rules: list[Rule]


class _Groups(msgspec.Struct):
    groups: list[_Group]


class _Rules(msgspec.Struct):
    data: _Groups


class Prometheus:
    """Asks a Prometheus.

    Args:
        http: leads to it.
    """

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def is_ready(self) -> bool:
        """Return whether it answers."""
        with contextlib.suppress(httpx.TransportError):
            return self._http.get("/-/ready").status_code == httpx.codes.OK
        return False

    def ask(self, question: str) -> list[dict[str, Any]]:
        """Return the series that answer a question, as of now."""
        return self._get("/api/v1/query", _Answer, query=question).data.result

    def values(self, label: str, of: str) -> list[str]:
        """Return which values a label of a metric has."""
        return self._get(f"/api/v1/label/{label}/values", _Values, **{"match[]": of}).data

    def rules(self) -> list[Rule]:
        """Return the alerts, and how they are."""
        return [rule for group in self._get("/api/v1/rules", _Rules).data.groups for rule in group.rules]

    def _get(self, path: str, form: type[Form], **asked: str) -> Form:
        answer = self._http.get(path, params=asked)
        assert answer.status_code == httpx.codes.OK, answer.text
        return msgspec.json.decode(answer.content, type=form)


@contextlib.contextmanager
def running_prometheus(folder: Path, targets: Sequence[str]) -> Iterator[Prometheus]:
    """Run a Prometheus with our example and our alerts.

    Args:
        folder: an empty one.
        targets: hosts and ports to look at, instead of those of the example.
    """
    assert PROGRAM is not None
    example = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    example["global"] = {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL}
    example["rule_files"] = [str(FOLDER / name) for name in example["rule_files"]]
    example["scrape_configs"][0]["static_configs"][0]["targets"] = list(targets)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(example), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    arguments = [
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, *arguments], stdout=log, stderr=subprocess.STDOUT)
        try:
            with httpx.Client(base_url=f"http://{address}", timeout=30, trust_env=False) as http:
                yield Prometheus(http)
        finally:
            end_process(process)
