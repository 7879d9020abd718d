"""`docs/rest.md` tells what the API does: its calls, its errors, and examples that hold."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest

from api.codes import PARTICULAR, USUAL
from api.main import api
from api.openapi.wording import NoExample, example_of, words_of
from api.reference import reference

ROOT: Final = Path(__file__).parents[2]


def test_the_reference_is_that_of_the_code() -> None:
    told = "it has changed: .venv/bin/python -m api.reference > docs/rest.md"
    assert (ROOT / "docs/rest.md").read_text(encoding="utf-8") == reference(), told


def test_each_example_is_what_its_schema_allows() -> None:
    document = api.openapi()
    checked = 0
    for schema in schemas(document):
        try:
            example = example_of(schema, document["components"]["schemas"])
        except NoExample:
            continue
        jsonschema.validate(example, schema | {"components": document["components"]})
        checked += 1
    assert checked > 40


def schemas(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Those of all documents and of all bodies."""
    yield from document["components"]["schemas"].values()
    for calls in document["paths"].values():
        for call in calls.values():
            bodies = call.get("requestBody", {}).get("content", {})
            yield from (each["schema"] for kind, each in bodies.items() if kind == "application/json")


def test_every_code_that_the_code_answers_is_explained_with_its_status() -> None:
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "api").rglob("*.py"))
    answered = set(re.findall(r'problem\((\d{3}), code="(\w+)"', "".join(sources)))
    explained = {
        (str(status), code)
        for codes in (USUAL, PARTICULAR)
        for status, named in codes.items()
        for code in named
    }
    assert len(answered) > 15
    assert answered - explained == set()


def test_every_error_of_a_call_has_a_code() -> None:
    calls = itertools.chain.from_iterable(each.values() for each in api.openapi()["paths"].values())
    for call in calls:
        problems = [
            answer for answer in call["responses"].values() if "application/problem+json" in str(answer)
        ]
        assert problems
        assert [each["description"] for each in problems if ": " not in each["description"]] == []
        assert [each["description"] for each in problems if each["description"].endswith(": ")] == []


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 200}, "whole number (1 to 200)"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "number (more than 0, at most 1)"),
        ({"type": "array", "maxItems": 16, "items": {"type": "string"}}, "list (at most 16) of text"),
        ({"anyOf": [{"$ref": "#/components/schemas/Put"}, {"type": "null"}]}, "[Put](#put) or null"),
        ({"enum": ["ready", "failed"], "type": "string"}, "`ready`, `failed`"),
        ({"const": False}, "`false`"),
        (
            {"type": "object", "additionalProperties": {"type": "string"}},
            "object, in which each value is text",
        ),
    ],
)
def test_a_schema_is_put_into_words(schema: dict[str, Any], words: str) -> None:
    assert words_of(schema) == words
