"""The reference of the API, from its OpenAPI document: `python -m api.reference`."""

import itertools
import json
import sys
from collections.abc import Iterator
from typing import Any, Final

from api.codes import A_REASON, PARTICULAR, USUAL
from api.main import api
from api.openapi.wording import NoExample, Schema, default_of, example_of, names_in, without_null, words_of
from api.problems import ALWAYS, MEDIA_TYPE

HEAD: Final = """\
# REST

Every call: what it takes, what it answers, and which key it needs. [README](../README.md#rest-by-example)
shows the calls at work, with `curl`; what may be chosen for a video is in [submitting.md](submitting.md), the
forms of a result in [formats.md](formats.md), how much and how fast a client may send in
[limits.md](limits.md#uploads-and-requests). A Kadr that runs describes itself: at `/docs` for people, at
`/openapi.json` (OpenAPI) for programs.

* **Keys.** A call with a scope needs a key with this scope, where Kadr is reached from other machines:
  `Authorization: Bearer KEY`, or `X-API-Key: KEY`. With a key one sees one's own videos ([keys.md](keys.md)).
* **Answers** are JSON where nothing else is said. Fields may be added: pass over those that you do not know.
* **Errors** are problem details (RFC 9457) with a stable `code`. A call names those of its own; any call may
  answer [the others](#errors), too.

This page is made from the code: `python -m api.reference > docs/rest.md`.

## Contents
"""

ERRORS: Final = f"""\
## Errors
The body of every error is a [Problem](#problem) of the media type `{MEDIA_TYPE}`. Its `code` is for
programs, and stays; `detail` is for people, and may be put better.
"""

KEYED: Final = (401, 403)
"""What any call that needs a key may answer."""

WIDTH: Final = 110
"""Characters of a line of an example."""


def reference() -> str:
    """Return the whole page."""
    document = api.openapi()
    groups = {tag["name"]: list(_calls(document["paths"], tag["name"])) for tag in document["tags"]}
    lines = [HEAD, *_contents(groups)]
    shown: set[str] = set()
    for tag in document["tags"]:
        lines += [f"## {tag['name'].capitalize()}", f"{tag['description']}\n"]
        for call in groups[tag["name"]]:
            lines += call.lines(document["components"]["schemas"], shown)
    lines += [ERRORS, *_codes(), "## Documents", "What answers, and some bodies, are made of.\n"]
    lines += _documents(document["components"]["schemas"])
    return "\n".join(lines)


class Call:
    """One call, under all the paths that it has.

    Args:
        method: in capitals.
        paths: one or several; it is named after the first.
        operation: what the OpenAPI document says.
    """

    def __init__(self, method: str, paths: list[str], operation: dict[str, Any]) -> None:
        self.name = f"{method} {paths[0]}"
        self.summary: str = operation["summary"]
        self._others = paths[1:]
        self._operation = operation

    @property
    def anchor(self) -> str:
        """Where its heading is, as forges name it."""
        return "".join(each for each in self.name.lower().replace(" ", "-") if each.isalnum() or each in "-_")

    def lines(self, schemas: Schema, shown: set[str]) -> Iterator[str]:
        """What is said about it.

        Args:
            schemas: of all documents, by name.
            shown: names of those that have had an example; one that has it here is added.
        """
        yield f"### {self.name}"
        yield f"**{self.summary}.** {self._operation['description']}\n"
        if self._others:
            yield f"The same at {', '.join(f'`{path}`' for path in self._others)}.\n"
        if (needed := self._operation.get("security")) is not None:
            yield f"Scope: {', '.join(f'`{each}`' for each in needed[0]['bearer']) or 'any'}.\n"
        yield from self._parameters()
        yield from self._bodies(schemas)
        yield from self._answers(schemas)
        if errors := list(self._errors()):
            yield f"Errors of its own: {', '.join(errors)}.\n"
        yield from self._example(schemas, shown)

    def _parameters(self) -> Iterator[str]:
        rows = [
            f"| `{each['name']}` | {each['in']} | {words_of(without_null(each['schema']))} "
            f"| {default_of(each['schema'])} | {_cell(each.get('description', ''))} |"
            for each in self._operation.get("parameters", ())
            if each["in"] != "path" or "description" in each
        ]
        if rows:
            yield from _table("parameter", "in", "type", "default", "meaning", rows=rows)

    def _bodies(self, schemas: Schema) -> Iterator[str]:
        known = {each["name"] for each in self._operation.get("parameters", ()) if each["in"] == "query"}
        for kind, content in self._operation.get("requestBody", {}).get("content", {}).items():
            schema = without_null(content["schema"])
            fields = schema.get("properties", {})
            what = "" if fields else words_of(schema)
            what = "what may stand in the query, as fields, and" if fields.keys() & known else what
            yield f"Body, `{kind}`{': ' * bool(what)}{what}{':' if fields else '.'}\n"
            own = {name: part for name, part in fields.items() if name not in known}
            yield from _fields(schema | {"properties": own}, marks={True: "Required."}) if own else ()
            if kind == "application/json":
                yield from _block(schema, schemas)

    def _answers(self, schemas: Schema) -> Iterator[str]:
        rows = [
            f"| {status} | {_body_of(answer)} | {_cell(_meaning(answer, schemas))} |"
            for status, answer in self._operation["responses"].items()
            if not _is_problem(answer)
        ]
        yield from _table("answer", "body", "meaning", rows=rows)

    def _errors(self) -> Iterator[str]:
        for status, answer in self._operation["responses"].items():
            codes = answer["description"].partition(": ")[2]
            usual = USUAL if int(status) in (*ALWAYS, *KEYED) else {}
            own = [each for each in codes.split(", ") if each.strip("`") not in usual.get(int(status), ())]
            if _is_problem(answer) and own:
                reason = "one of [limits.md](limits.md#codes)"
                yield f"{status} {' or '.join(reason if each == A_REASON else each for each in own)}"

    def _example(self, schemas: Schema, shown: set[str]) -> Iterator[str]:
        for answer in self._operation["responses"].values():
            for name in itertools.islice(names_in(_json_of(answer)), 1):
                if not _is_problem(answer) and name not in shown:
                    shown.add(name)
                    yield from _block(schemas[name], schemas)
                    return


def _calls(paths: dict[str, Any], tag: str) -> Iterator[Call]:
    """The calls of a group, those of the newest version first; one that has several paths is one call."""
    found = [
        (path, method.upper(), operation)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if tag in operation["tags"]
    ]
    found.sort(key=lambda each: ("/v1/" not in each[0], each[1] == "DELETE"))
    for (method, _), group in itertools.groupby(found, key=lambda each: (each[1], each[2]["summary"])):
        same = list(group)
        yield Call(method, sorted((path for path, _, _ in same), key=_shown_first), same[0][2])


def _shown_first(path: str) -> tuple[bool, str]:
    return path.startswith("/api"), path


def _contents(groups: dict[str, list[Call]]) -> Iterator[str]:
    for tag, calls in groups.items():
        yield f"* [{tag.capitalize()}](#{tag.replace(' ', '-')})"
        yield from (
            f"  * [`{call.name}`](#{call.anchor}): {call.summary[0].lower()}{call.summary[1:]}"
            for call in calls
        )
    yield "* [Errors](#errors)\n* [Documents](#documents)\n"


def _codes() -> Iterator[str]:
    rows = []
    for status in sorted({*USUAL, *PARTICULAR}):
        by = (
            "any" if status in ALWAYS else "any that has a scope" if status in KEYED else "those that name it"
        )
        rows += [f"| {status} | `{code}` | {text} | {by} |" for code, text in USUAL.get(status, {}).items()]
        rows += [
            f"| {status} | `{code}` | {text} | those that name it |"
            for code, text in PARTICULAR.get(status, {}).items()
        ]
    yield from _table("status", "code", "meaning", "answered by calls", rows=rows)


def _documents(schemas: Schema) -> Iterator[str]:
    for name, schema in sorted(schemas.items()):
        yield f"### {name}"
        yield f"{_cell(schema['description'])}\n"
        yield from _fields(schema, marks={False: "May be absent."})


def _fields(schema: Schema, *, marks: dict[bool, str]) -> Iterator[str]:
    """A table of fields, with a remark about those that are required, or about those that are not."""
    rows = []
    for name, part in schema["properties"].items():
        default = default_of(part)
        notes = [
            part.get("description", ""),
            f"Else {default}." if default else marks.get(name in schema.get("required", ()), ""),
        ]
        rows.append(f"| `{name}` | {words_of(part)} | {_cell(' '.join(notes))} |")
    yield from _table("field", "type", "meaning", rows=rows)


def _table(*heads: str, rows: list[str]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    yield from (*rows, "")


def _is_problem(answer: dict[str, Any]) -> bool:
    return MEDIA_TYPE in answer.get("content", {})


def _json_of(answer: dict[str, Any]) -> Schema:
    schema: Schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def _body_of(answer: dict[str, Any]) -> str:
    document = _json_of(answer)
    others = (f"`{kind}`" for kind in answer.get("content", {}) if kind != "application/json")
    return ", ".join([*([words_of(document)] if document else []), *others])


def _meaning(answer: dict[str, Any], schemas: Schema) -> str:
    said = answer["description"]
    if said == "Successful Response":  # FastAPI's, where nobody has said anything
        said = " ".join(schemas[name]["description"] for name in names_in(_json_of(answer)))
    headers = (f"`{name}`: {each['description']}" for name, each in answer.get("headers", {}).items())
    return " ".join([said or "Nothing more to say.", *headers])


def _block(schema: Schema, schemas: Schema) -> Iterator[str]:
    try:
        yield f"```json\n{_json(example_of(schema, schemas))}\n```\n"
    except NoExample:
        return


def _json(value: object, indent: int = 0) -> str:
    """JSON, as much on a line as fits."""
    line = json.dumps(value, ensure_ascii=False)
    if len(line) + indent <= WIDTH or not isinstance(value, dict | list):
        return line
    if isinstance(value, list):
        return "[" + _filled([_json(each, indent + 1) for each in value], indent + 1) + "]"
    parts = [f"{json.dumps(key)}: {_json(each, indent + 1)}" for key, each in value.items()]
    return "{" + _filled(parts, indent + 1) + "}"


def _filled(parts: list[str], indent: int) -> str:
    lines = [parts[0]]
    for part in parts[1:]:
        if "\n" in lines[-1] + part or indent + len(lines[-1]) + 2 + len(part) > WIDTH:
            lines.append(part)
        else:
            lines[-1] += f", {part}"
    return (",\n" + " " * indent).join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
