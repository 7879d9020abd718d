"""Schemas of the OpenAPI document in words, and examples that are put together from those of their parts."""

import json
from collections.abc import Iterator
from typing import Any, Final

Schema = dict[str, Any]

NAMES: Final = {
    "boolean": "`true` or `false`",
    "integer": "whole number",
    "null": "null",
    "number": "number",
    "string": "text",
}
FORMATS: Final = {"binary": "bytes", "date-time": "time (RFC 3339)", "uri": "URL"}

A_TIME: Final = "2026-10-05T12:00:00Z"
"""Stands for each time that has no example of its own."""


class NoExample(Exception):
    """Nothing can be put together: a part that has to be there has no example."""


def words_of(schema: Schema) -> str:
    """Return what a value may be, for people; documents are links into the same page."""
    if "$ref" in schema:
        return f"[{name_of(schema)}](#{name_of(schema).lower()})"
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(words_of(each) for each in choices)
    if "const" in schema or "enum" in schema:
        return ", ".join(written(each) for each in schema.get("enum", [schema.get("const")]))
    return _words_of_type(schema)


def written(value: object) -> str:
    """Return a value as code: text as it is, everything else as JSON."""
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def default_of(schema: Schema) -> str:
    """Return a default as code; nothing where there is none to speak of."""
    default = schema.get("default")
    return "" if default is None or default == [] else written(default)


def without_null(schema: Schema) -> Schema:
    """Return the schema of what is sent without being JSON, or not at all: there is no null."""
    choices = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return rest | (choices[0] if len(choices) == 1 else {"anyOf": choices}) if choices else schema


def name_of(schema: Schema) -> str:
    """Return the name of the document that a reference leads to."""
    return str(schema["$ref"]).rpartition("/")[2]


def names_in(schema: object) -> Iterator[str]:
    """Every document that a schema refers to, in order."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield name_of(schema)
        for each in schema.values():
            yield from names_in(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from names_in(each)


def example_of(schema: Schema, schemas: Schema) -> Any:  # noqa: ANN401 - JSON
    """Return a value that a schema allows: its own example, or one made of those of its parts.

    Args:
        schema: of the value.
        schemas: those that references lead to, by name.

    Raises:
        NoExample: there is none.
    """
    if "$ref" in schema:
        return example_of(schemas[name_of(schema)], schemas)
    for found in (schema.get("examples", ())[-1:], schema.get("enum", ())[:1]):
        if found:
            return found[0]
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    return _example_of_type(schema, schemas)


def _example_of_type(schema: Schema, schemas: Schema) -> Any:  # noqa: ANN401 - JSON
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return None if {"type": "null"} in choices else example_of(choices[0], schemas)
    if schema.get("format") == "date-time":
        return A_TIME
    if schema.get("type") == "array":
        return [example_of(schema["items"], schemas)]
    if "properties" in schema:
        return dict(_example_parts(schema, schemas))
    raise NoExample


def _example_parts(schema: Schema, schemas: Schema) -> Iterator[tuple[str, Any]]:
    for name, part in schema["properties"].items():
        if name in schema.get("required", ()) or part.get("examples") or part.get("default") is not None:
            yield name, example_of(part, schemas)


def _words_of_type(schema: Schema) -> str:
    match schema.get("type"):
        case "array":
            return f"list{_bounds(schema)} of {words_of(schema['items'])}"
        case "object":
            return _parts_of(schema)
        case kind:
            return FORMATS.get(schema.get("format", "")) or NAMES.get(str(kind), "anything") + _bounds(schema)


def _parts_of(schema: Schema) -> str:
    if "properties" in schema:
        parts = (f"`{name}`: {words_of(part)}" for name, part in schema["properties"].items())
        return f"object of {', '.join(parts)}"
    values = schema.get("additionalProperties")
    return f"object, in which each value is {words_of(values)}" if isinstance(values, dict) else "object"


def _bounds(schema: Schema) -> str:
    found = [
        _range(schema.get("minimum"), schema.get("maximum"), ""),
        _range(schema.get("minLength"), schema.get("maxLength"), " characters"),
        _range(schema.get("minItems"), schema.get("maxItems"), ""),
    ]
    if "exclusiveMinimum" in schema:
        found.insert(0, f"more than {_plain(schema['exclusiveMinimum'])}")
    if "multipleOf" in schema:
        found.append(f"in steps of {_plain(schema['multipleOf'])}")
    said = ", ".join(each for each in found if each)
    return f" ({said})" if said else ""


def _range(least: float | None, most: float | None, unit: str) -> str:
    if least is not None and most is not None:
        return f"{_plain(least)} to {_plain(most)}{unit}"
    if least is not None:
        return f"at least {_plain(least)}{unit}"
    return "" if most is None else f"at most {_plain(most)}{unit}"


def _plain(number: float) -> str:
    return f"{number:,.0f}" if number == int(number) else f"{number:g}"
