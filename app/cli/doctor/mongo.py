"""The two databases, and their indexes."""

from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import SecretStr

from app.cli.doctor.clocks import compare
from app.cli.doctor.findings import Finding, ok, warning, wrong
from app.clients.index_facts import RUNNER_DATABASE, Index, wanted_indexes
from app.clients.mongo import Mongo, open_mongo
from app.settings import Settings

PATIENCE: Final = timedelta(seconds=10)
"""Nobody waits for the answer but a person; a busy server is not away."""

OLDEST: Final = (4, 4)
"""The oldest MongoDB that pymongo 4.20 speaks to is 4.2; 4.4 is the oldest with what Kadr asks of it."""


async def look_at_main(settings: Settings) -> list[Finding]:
    """Look at the server of `main_db`.

    Raises:
        Unavailable: it does not answer.
    """
    return await _look(settings, settings.mongo_uri, "main_db")


async def look_at_runner(settings: Settings) -> list[Finding]:
    """Look at the server of `runner_db`.

    Raises:
        Unavailable: it does not answer.
    """
    return await _look(settings, settings.runner_mongo_uri, RUNNER_DATABASE)


async def _look(settings: Settings, uri: SecretStr, database: str) -> list[Finding]:
    async with open_mongo(uri, service=f"Mongo ({database})", answer_within=PATIENCE) as mongo:
        asked = datetime.now(UTC)
        facts = await mongo.describe()
        clock = compare(f"Mongo ({database})", facts.now, asked=asked, answered=datetime.now(UTC))
        found = [*_server(database, facts.version, facts.replica_set), clock]
        return found + await _indexes(mongo, database, await wanted_indexes(settings))


def _server(database: str, version: str, replica_set: str | None) -> list[Finding]:
    numbers = tuple(int(part) for part in version.split(".")[:2])
    if numbers < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return [wrong("mongo", f"{database}: MongoDB {version}", f"{oldest} is the oldest that will do")]
    if replica_set is None:
        return [
            warning(
                "mongo",
                f"{database}: MongoDB {version}, a server that stands alone: all is gone with its disk",
                "make it a replica set of three, or back it up (docs/operations.md)",
            )
        ]
    return [ok("mongo", f"{database}: MongoDB {version}, replica set {replica_set}")]


async def _indexes(mongo: Mongo, database: str, wanted: dict[tuple[str, str], list[Index]]) -> list[Finding]:
    missing = []
    for (where, name), indexes in wanted.items():
        if where == database:
            there = await mongo.collection(where, name).existing_indexes()
            missing += [f"{name}({_written(each)})" for each in indexes if each not in there]
    if missing:
        who = "a runner" if database == RUNNER_DATABASE else "the API"
        return [
            warning(
                "indexes",
                f"{database} lacks {', '.join(missing)}: each question reads all documents",
                f"start {who}, which makes them, and look at its log if they do not come",
            )
        ]
    count = sum(len(indexes) for (where, _), indexes in wanted.items() if where == database)
    return [ok("indexes", f"{database}: all {count} are there")]


def _written(index: Index) -> str:
    return ", ".join(f"{name}{'' if way > 0 else '-'}" for name, way in index)
