"""The documents do not lie about what a machine can check: links, paths, folders, settings."""

import re
from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.domain.failures import SENTENCES
from app.local.ports import Ports, setting_of
from app.settings import Settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "models").glob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
    ],
)
PACKAGES = ("agents", "api", "app", "models", "tables", "tests", "docs", "deploy", "benchmarks")

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def without_code(text: str) -> str:
    """The text without its fenced blocks, which show commands and answers."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", without_code(document.read_text()), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.strip().lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


def rows(text: str) -> Iterator[list[str]]:
    """The cells of every table row whose first cell is code."""
    for line in text.splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("| ").split(" | ")]


def written(default: object) -> str:
    """A default as an operator would write it."""
    match default:
        case SecretStr():
            return default.get_secret_value()
        case timedelta():
            return f"{default.total_seconds():.0f}"
        case bool():
            return str(default).lower()
        case tuple():
            return ",".join(default)
        case _:
            return str(default)


@each_document
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", without_code(document.read_text()))
    for target in targets:
        path, _, anchor = target.partition("#")
        if path.startswith(("http:", "https:", "mailto:")):
            continue
        found = (document.parent / path).resolve() if path else document
        assert found.exists(), f"{target} does not exist"
        assert not anchor or anchor in anchors(found), f"{target} has no such heading"


@each_document
def test_every_path_that_is_named_exists(document: Path) -> None:
    named = re.findall(rf"`((?:{'|'.join(PACKAGES)})/[\w./-]*)`", without_code(document.read_text()))
    expected = [path for path in named if path != "models/best.pt"]  # the operator's own
    missing = [path for path in expected if not (ROOT / path).exists()]
    assert not missing


@each_document
def test_every_module_that_is_named_exists(document: Path) -> None:
    named = re.findall(r"`((?:app|agents|api|tables|benchmarks)(?:\.\w+)+)", document.read_text())
    missing = [name for name in named if not is_module_or_member(name)]
    assert not missing


def is_module_or_member(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return any(each.with_suffix(".py").exists() or each.is_dir() for each in (path, path.parent))


def test_every_folder_of_the_map_exists() -> None:
    text = (ROOT / "README.md").read_text()
    folders = re.findall(r"^\| `([\w./]+/)` \|", text, re.MULTILINE)
    assert folders
    assert [folder for folder in folders if not (ROOT / folder).is_dir()] == []


def test_every_package_is_in_the_map() -> None:
    packages = {f"{path.parent.name}/" for path in ROOT.glob("*/__init__.py")}
    named = set(re.findall(r"^\| `([\w./]+/)` \|", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert packages - named == set()


def test_the_documented_settings_are_those_of_the_code_with_their_defaults() -> None:
    text = (ROOT / "docs/settings.md").read_text().partition("## Local stack only")[0]
    documented = {cells[0].strip("`"): cells[1].strip("`").replace("*(empty)*", "") for cells in rows(text)}
    in_code = {name.upper(): written(field.default) for name, field in Settings.model_fields.items()}
    assert documented == in_code


def test_the_documented_ports_are_those_of_the_local_stack() -> None:
    text = (ROOT / "docs/settings.md").read_text().partition("## Local stack only")[2]
    documented = {cells[0].strip("`"): cells[1].strip("`") for cells in rows(text)}
    assert documented == {setting_of(field.name): str(field.default) for field in fields(Ports)}


def test_the_readme_names_only_settings_that_exist() -> None:
    text = (ROOT / "README.md").read_text().partition("## Settings")[2].partition("\n## ")[0]
    named = {cells[0].strip("`") for cells in rows(text)}
    known = {name.upper() for name in Settings.model_fields} | {
        setting_of(each.name) for each in fields(Ports)
    }
    assert named
    assert named - known == set()


def test_every_decision_is_in_the_index_and_names_the_files_that_obey_it() -> None:
    folder = ROOT / "docs/decisions"
    index = (folder / "README.md").read_text()
    decisions = sorted(folder.glob("[0-9]*.md"))
    assert decisions
    for decision in decisions:
        assert f"({decision.name})" in index
        text = decision.read_text()
        for part in ("## Context", "## Decision", "## Consequences", "## Alternatives", "## Obeyed by"):
            assert part in text, f"{decision.name} lacks {part}"


def test_every_document_is_in_the_index_once() -> None:
    folder = ROOT / "docs"
    documents = {path.name for path in folder.glob("*.md")} - {"README.md"}
    listed = re.findall(
        r"^\| \[[\w.-]+\]\(([\w.-]+\.md)\) \|", (folder / "README.md").read_text(), re.MULTILINE
    )
    assert len(listed) == len(set(listed))
    assert documents - set(listed) == set()


def test_each_section_of_operations_names_tests_that_there_are() -> None:
    text = (ROOT / "docs/operations.md").read_text()
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert len(sections) > 10
    for section in sections:
        _, found, named = section.partition("\nTested by ")
        assert found, section.splitlines()[0]
        tests = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", named)
        assert tests, section.splitlines()[0]
        for path, function in tests:
            assert f"def {function}(" in (ROOT / path).read_text() if function else (ROOT / path).exists()


def test_the_licence_is_the_one_that_the_package_declares() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert text.startswith(" " * 20 + "GNU AFFERO GENERAL PUBLIC LICENSE")
    assert "END OF TERMS AND CONDITIONS" in text
    assert 'license = "AGPL-3.0-only"' in (ROOT / "pyproject.toml").read_text()


def test_the_documented_codes_are_those_of_the_code_with_their_sentences() -> None:
    text = (ROOT / "docs/limits.md").read_text().partition("## Codes")[2].partition("\n## ")[0]
    assert {cells[0].strip("`"): cells[1] for cells in rows(text)} == SENTENCES


def test_the_documented_limits_are_settings_with_their_defaults_and_lead_to_codes() -> None:
    text = (ROOT / "docs/limits.md").read_text().partition("## Limits")[2].partition("\n## ")[0]
    documented = {cells[0].strip("`"): cells[1].strip("`") for cells in rows(text)}
    settings = (ROOT / "docs/settings.md").read_text().partition("## Decoding")[2].partition("\n## ")[0]
    limits = {cells[0].strip("`"): cells[1].strip("`") for cells in rows(settings)}
    assert documented == {name: limits[name] for name in limits if name.startswith(("MAX_", "DECODER_"))}
    assert {cells[2].strip("`") for cells in rows(text)} <= SENTENCES.keys()
