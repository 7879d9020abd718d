"""What a collection was asked, as `docs/queries.md` writes it, and whether an index answers that."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.clients.mongo import Filter, Keys
from tests.support.memory_mongo import Asked

PAGE: Final = Path(__file__).parents[2] / "docs" / "queries.md"

BY_ID: Final = "_id"
"""The index that every collection has."""

OPTIONAL: Final = re.compile(r"\[([^\]]*)\]")


@dataclass(frozen=True)
class Row:
    """A line of the table: this question of a collection is answered by that index.

    Attributes:
        match: fields with `=` (one value), `<` (a range) or `in` (some values), in alphabetical order.
        order: fields of the order, with a minus where it descends.
        index: fields of the index, likewise.
        checked: fields that are looked at in the documents, because the index leaves few of them.
    """

    collection: str
    match: str
    order: str
    index: str
    checked: str

    @property
    def question(self) -> tuple[str, str, str]:
        """What is asked."""
        return self.collection, self.match, self.order


def read_table() -> list[Row]:
    """Return the rows; one with a part in brackets is two, with that part and without."""
    found: list[Row] = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("| `"):
            continue
        collection, *rest = [cell.strip().strip("`") for cell in line.strip("| ").split(" | ")]
        rest = ["" if each == "-" else each for each in rest]
        wholes = (r"\1", "") if any(map(OPTIONAL.search, rest)) else ("",)
        found += (Row(collection, *(OPTIONAL.sub(kept, each) for each in rest[:4])) for kept in wholes)
    return found


def question_of(collection: str, asked: Asked) -> tuple[str, str, str]:
    """Return what was asked in the table's words."""
    kinds = dict(_kinds(asked.match))
    match = ", ".join(f"{name} {kinds[name]}" for name in sorted(kinds))
    return collection, match, written(asked.sort)


def written(keys: Keys) -> str:
    """Return an order, or the fields of an index, in the table's words."""
    return ", ".join(f"{name}{'' if direction > 0 else '-'}" for name, direction in keys)


def is_answered(row: Row) -> bool:
    """Return whether an index gives what a row asks for, in its order, and reads nothing else.

    A field of which one value is wanted may stand anywhere before the first that is not such a one; the order
    follows, in the index's directions or all of them turned round; a range ends it. What is checked in the
    documents is left out.
    """
    if row.index == BY_ID:
        return row.match.startswith("_id ") or row.match == ""
    kinds = dict(each.rsplit(" ", 1) for each in row.match.split(", ") if each)
    for name in filter(None, row.checked.split(", ")):
        del kinds[name]
    order = [each for each in row.order.split(", ") if each]
    fields = row.index.split(", ")
    while fields and kinds.get(fields[0].rstrip("-")) == "=":
        del kinds[fields.pop(0).rstrip("-")]
    if fields and kinds.get(fields[0].rstrip("-")) in {"<", "in"}:
        del kinds[fields[0].rstrip("-")]
    return not kinds and (_begins(fields, order) or _begins(fields, [_turned(each) for each in order]))


def _begins(fields: Sequence[str], order: Sequence[str]) -> bool:
    return list(fields[: len(order)]) == list(order)


def _turned(name: str) -> str:
    return name.rstrip("-") if name.endswith("-") else f"{name}-"


def _kinds(match: Filter) -> Iterable[tuple[str, str]]:
    for name, wanted in match.items():
        if name == "$and":
            for each in wanted:
                yield from _kinds(each)
        elif name == "$or":
            for each in wanted:
                yield from ((field, "or") for field, _ in _kinds(each))
        else:
            yield name, _kind(wanted)


def _kind(wanted: Any) -> str:  # noqa: ANN401 - a filter holds anything
    if not isinstance(wanted, Mapping):
        return "="
    return {"$in": "in", "$ne": "not"}.get(next(iter(wanted)), "<")
