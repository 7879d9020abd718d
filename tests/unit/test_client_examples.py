"""The examples of the documents run as they stand, against a stand-in that speaks Kadr's REST API."""

import re
from pathlib import Path

import pytest

from tests.support.kadr_stand_in import StandIn, open_stand_in, said

ROOT = Path(__file__).parents[2]


def examples(document: str) -> str:
    """All examples of a document, as one program."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("document", ["docs/client.md", "README.md"])
def test_the_examples_run(document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("street.mp4", "yard.mp4"):
        (tmp_path / name).write_bytes(b"frames")
    with open_stand_in() as stand_in:
        answer_all(stand_in)
        monkeypatch.setenv("API_URL", stand_in.url)
        program = examples(document).replace("http://127.0.0.1:8080", stand_in.url)
        assert program
        exec(compile(program, document, "exec"), {})  # noqa: S102 - our own documents
        assert (tmp_path / "street.csv").read_bytes() == stand_in.result()


def answer_all(stand_in: StandIn) -> None:
    """Let the stand-in answer what the examples ask for beside the usual."""
    stand_in.others["GET /api/v1/videos"] = [said({"videos": [{"id": "id-1", "status": "ready"}]})]
