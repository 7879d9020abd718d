"""A collection in memory; tests/clients runs the same suite on it and on the real server: it stays honest."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.clients.mongo import Document, Documents, Filter, Keys
from app.errors import Conflict, Unavailable


@dataclass(frozen=True)
class Asked:
    """A question that a collection was asked: what had to match, and in which order."""

    match: Filter
    sort: Keys = ()


class MemoryDocuments(Documents):
    """A collection in memory; it knows the operators that Kadr uses.

    Attributes:
        is_away: while it is set, every call raises `Unavailable`.
        asked: every question, in order.
        indexes: those that were created.
    """

    def __init__(self) -> None:
        self.documents: dict[Any, Document] = {}
        self.is_away = False
        self.asked: list[Asked] = []
        self.indexes: list[Keys] = []

    async def find_one(self, match: Filter, projection: Sequence[str] | None = None) -> Document | None:
        found = await self.find(match, projection=projection, limit=1)
        return found[0] if found else None

    async def find(
        self,
        match: Filter,
        *,
        projection: Sequence[str] | None = None,
        sort: Keys | None = None,
        limit: int = 0,
    ) -> list[Document]:
        found = self._matching(match, sort or ())
        for key, direction in reversed(sort or []):
            found.sort(key=lambda document: _order(_value(document, key)), reverse=direction < 0)
        return [_projected(copy.deepcopy(document), projection) for document in found[: limit or None]]

    async def insert(self, document: Document) -> None:
        self._answer()
        if document["_id"] in self.documents:
            raise Conflict(str(document["_id"]))
        self.documents[document["_id"]] = _as_kept(document)

    async def insert_missing(self, documents: Sequence[Document]) -> int:
        self._answer()
        new = [document for document in documents if document["_id"] not in self.documents]
        self.documents |= {document["_id"]: _as_kept(document) for document in new}
        return len(new)

    async def update(self, match: Filter, change: Filter, *, upsert: bool = False) -> bool:
        found = self._matching(match)
        if found:
            before = copy.deepcopy(found[0])
            _apply(found[0], change)
            return found[0] != before
        if upsert:
            document = {key: value for key, value in match.items() if not isinstance(value, Mapping)}
            _apply(document, change, is_new=True)
            await self.insert(document)
        return upsert

    async def update_and_get(self, match: Filter, change: Filter) -> Document | None:
        found = self._matching(match)
        if not found:
            return None
        _apply(found[0], change)
        return copy.deepcopy(found[0])

    async def update_many(self, match: Filter, change: Filter) -> int:
        changed = 0
        for document in self._matching(match):
            before = copy.deepcopy(document)
            _apply(document, change)
            changed += document != before
        return changed

    async def delete(self, match: Filter) -> int:
        found = self._matching(match)
        for document in found:
            del self.documents[document["_id"]]
        return len(found)

    async def count(self, match: Filter) -> int:
        return len(self._matching(match))

    async def ensure_index(
        self,
        keys: Keys,
        *,
        partial: Filter | None = None,  # noqa: ARG002  # an index changes nothing here
        is_unique: bool = False,  # noqa: ARG002
    ) -> None:
        self._answer()
        self.indexes.append(keys)

    def _answer(self) -> None:
        if self.is_away:
            raise Unavailable("Mongo", "the test took it away")

    def _matching(self, match: Filter, sort: Keys = ()) -> list[Document]:
        self._answer()
        self.asked.append(Asked(match, sort))
        return [document for document in self.documents.values() if _matches(document, match)]


def _value(document: Document, path: str) -> Any:  # noqa: ANN401  # a document holds anything
    """Return what is there; of several in a list, the least."""
    value: Any = document
    for name in path.split("."):
        if isinstance(value, list):
            value = min((each[name] for each in value if name in each), default=None)
        else:
            value = value.get(name) if isinstance(value, dict) else None
    return value


def _order(value: Any) -> tuple[bool, Any]:  # noqa: ANN401  # see above
    return (value is not None, value)


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "$lt": lambda value, bound: value is not None and value < bound,
    "$lte": lambda value, bound: value is not None and value <= bound,
    "$gt": lambda value, bound: value is not None and value > bound,
    "$gte": lambda value, bound: value is not None and value >= bound,
    "$in": lambda value, values: value in values,
    "$nin": lambda value, values: value not in values,
    "$ne": lambda value, other: value != other,
    "$exists": lambda value, is_there: (value is not None) == is_there,
}


def _matches(document: Document, match: Filter) -> bool:
    for key, wanted in match.items():
        if key == "$and":
            is_match = all(_matches(document, item) for item in wanted)
        elif key == "$or":
            is_match = any(_matches(document, item) for item in wanted)
        elif isinstance(wanted, Mapping) and any(name.startswith("$") for name in wanted):
            is_match = all(_COMPARE[name](_value(document, key), bound) for name, bound in wanted.items())
        else:
            value = _value(document, key)
            is_match = value == wanted or (isinstance(value, list) and wanted in value)
        if not is_match:
            return False
    return True


def _apply(document: Document, change: Filter, *, is_new: bool = False) -> None:
    for operator, fields in change.items():
        for path, value in fields.items():
            *parents, last = path.split(".")
            place = document
            for name in parents:
                place = place.setdefault(name, {})
            if operator == "$unset":
                place.pop(last, None)
            elif operator == "$inc":
                place[last] = place.get(last, 0) + value
            elif operator == "$set" or (operator == "$setOnInsert" and is_new):
                place[last] = _as_kept(value)
            elif operator == "$push":
                place.setdefault(last, []).append(_as_kept(value))
            elif operator == "$pull":
                place[last] = [each for each in place.get(last, []) if not _matches(each, value)]
            elif operator != "$setOnInsert":
                message = f"this memory knows no {operator}"
                raise ValueError(message)


def _as_kept(value: Any) -> Any:  # noqa: ANN401  # see above
    """As Mongo keeps it: times in UTC and whole milliseconds, sequences as lists."""
    if isinstance(value, datetime):
        utc = value.astimezone(UTC)
        return utc.replace(microsecond=utc.microsecond // 1000 * 1000)
    if isinstance(value, dict):
        return {key: _as_kept(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_kept(item) for item in value]
    return value


def _projected(document: Document, projection: Sequence[str] | None) -> Document:
    if projection is None:
        return document
    return {key: value for key, value in document.items() if key in {"_id", *projection}}
