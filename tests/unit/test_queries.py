"""Each question that the API's clients ask of Mongo is in docs/queries.md, with the index that answers it."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any

import pytest

import app.clients
from app.clients.mongo import Documents
from tests.support.drives import DRIVES, Clients, everything_asked
from tests.support.queries import BY_ID, Row, is_answered, read_table, written


@pytest.fixture
def made() -> Clients:
    return Clients()


@pytest.fixture
def table() -> list[Row]:
    rows = read_table()
    assert len({row.question for row in rows}) == len(rows), "no question is in it twice"
    return rows


def test_every_client_that_asks_a_collection_is_driven_here() -> None:
    modules = [
        importlib.import_module(each.name)
        for each in pkgutil.walk_packages(app.clients.__path__, f"{app.clients.__name__}.")
    ]
    found = {
        each
        for module in modules
        for each in vars(module).values()
        if inspect.isclass(each) and each.__module__ == module.__name__ and "__init__" in vars(each)
        if not each.__name__.startswith("_")
        if Documents in [given.annotation for given in inspect.signature(each).parameters.values()]
    }
    assert found == set(DRIVES)


@pytest.mark.parametrize("client", DRIVES, ids=lambda each: each.__name__)
async def test_every_method_of_a_client_is_driven_here(
    client: type, made: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: set[str] = set()
    methods = [
        name
        for name, each in vars(client).items()
        if not name.startswith("_") and inspect.iscoroutinefunction(each) and name != "prepare"
    ]

    def recorded(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the method
            called.add(name)
            return method(*args, **kwargs)

        return call

    for name in methods:
        monkeypatch.setattr(client, name, recorded(name, getattr(client, name)))
    await DRIVES[client](made)
    assert called == set(methods)


async def test_every_question_is_in_the_table_and_every_row_is_asked(made: Clients, table: list[Row]) -> None:
    asked = await everything_asked(made)
    known = {row.question for row in table}
    assert not asked - known, "asked, but not in docs/queries.md"
    assert not known - asked, "in docs/queries.md, but nobody asks"


async def test_the_indexes_of_the_table_are_those_that_are_created(made: Clients, table: list[Row]) -> None:
    for client in (made.outbox, made.uploads, made.deliveries, made.used_keys, made.sessions):
        await client.prepare()
    created = {(name, written(keys)) for name, each in made.collections.items() for keys in each.indexes}
    named = {(row.collection, row.index) for row in table if row.index != BY_ID}
    assert not named - created, "named, but not created"
    assert not created - named, "created, but of no use to anybody"


def test_every_index_of_the_table_answers_its_question(table: list[Row]) -> None:
    assert not [row for row in table if not is_answered(row)]


@pytest.mark.parametrize(
    ("match", "order", "index", "is_enough"),
    [
        ("deleted_at =", "created_at-, _id-", "deleted_at, created_at-, _id-", True),
        ("deleted_at =", "created_at, _id", "deleted_at, created_at-, _id-", True),
        ("deleted_at =", "created_at, _id-", "deleted_at, created_at-, _id-", False),
        ("deleted_at =", "created_at-, _id-", "owner, deleted_at, created_at-, _id-", False),
        ("created_at <, deleted_at =", "created_at-, _id-", "deleted_at, created_at-, _id-", True),
        ("deleted_at =, status =", "", "deleted_at, created_at-, _id-", False),
        ("deleted_at =, status in", "created_at", "deleted_at, status, created_at", False),
        ("_id =, status =", "", "_id", True),
        ("status =", "", "_id", False),
    ],
)
def test_an_index_answers_what_it_begins_with(match: str, order: str, index: str, *, is_enough: bool) -> None:
    assert is_answered(Row("outbox", match, order, index, "")) is is_enough
