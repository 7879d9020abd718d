"""The rules of ruff that look for holes (S, from bandit) are on, and each exception says why."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]

EXCEPTION = re.compile(r"# noqa: (?P<codes>[A-Z0-9, ]*\bS\d+[A-Z0-9, ]*)(?P<reason>.*)$", re.MULTILINE)


def sources() -> list[Path]:
    folders = ("agents", "api", "app", "benchmarks", "models", "tables", "tests")
    return [path for folder in folders for path in (ROOT / folder).rglob("*.py")]


def reasons(text: str) -> list[str]:
    """What stands behind each exception of these rules."""
    return [found["reason"].strip(" -(#") for found in EXCEPTION.finditer(text)]


def test_all_of_them_are_on_but_the_two_whose_reason_stands_beside_them() -> None:
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    everywhere = [code for code in lint["ignore"] if re.fullmatch(r"S\d*", code)]
    in_places = {
        place: [code for code in codes if re.fullmatch(r"S\d*", code)]
        for place, codes in lint["per-file-ignores"].items()
    }
    assert lint["select"] == ["ALL"]
    assert everywhere == ["S603"]
    assert {place: codes for place, codes in in_places.items() if codes} == {"tests/**": ["S101"]}


def test_each_exception_says_why() -> None:
    found = {path: reasons(path.read_text(encoding="utf-8")) for path in sources() if path != Path(__file__)}
    assert sum(map(len, found.values())) > 5
    assert [str(path) for path, given in found.items() if not all(given)] == []


def test_an_exception_without_a_reason_would_be_seen() -> None:
    bare, given = "x = 1  # noqa: S108", "x = 1  # noqa: S311 - repeatable, not secret"
    assert reasons(f"{bare}\n{given}\n") == ["", "repeatable, not secret"]
