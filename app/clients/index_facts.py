"""Which indexes the clients of Mongo create, written down instead of created: what ought to be there."""

from typing import Final, TypeAlias

from app.clients.main_db.direct_uploads import direct_uploads
from app.clients.main_db.idempotency import idempotency_keys
from app.clients.main_db.sessions import sessions
from app.clients.main_db.video_outbox import video_outbox
from app.clients.main_db.webhook_deliveries import webhook_deliveries
from app.clients.mongo import Documents, Filter, Keys, Mongo
from app.clients.runner_records import RunnerRecords
from app.settings import Settings

Index: TypeAlias = tuple[tuple[str, int], ...]
Collection: TypeAlias = tuple[str, str]

RUNNER_DATABASE: Final = "runner_db"
"""The database of the server at `RUNNER_MONGO_URI`; the others are at `MONGO_URI`."""


class _WrittenDown(Documents):
    """A collection that creates nothing."""

    def __init__(self) -> None:
        self.indexes: list[Index] = []

    async def ensure_index(
        self,
        keys: Keys,
        *,
        partial: Filter | None = None,  # noqa: ARG002 - which documents are in it does not matter here
        is_unique: bool = False,  # noqa: ARG002 - likewise
    ) -> None:
        self.indexes.append(tuple(keys))


class _NoServer(Mongo):
    """A server that is none."""

    def __init__(self) -> None:
        self.collections: dict[Collection, _WrittenDown] = {}

    def collection(self, database: str, name: str) -> Documents:
        return self.collections.setdefault((database, name), _WrittenDown())


async def wanted_indexes(settings: Settings) -> dict[Collection, list[Index]]:
    """Return the indexes that API and runner make sure of, by database and collection."""
    nowhere = _NoServer()
    await video_outbox(nowhere, settings).prepare()
    await direct_uploads(nowhere).prepare()
    await webhook_deliveries(nowhere).prepare()
    await idempotency_keys(nowhere).prepare()
    await sessions(nowhere).prepare()
    await RunnerRecords(nowhere, "nobody", settings.split_lease).prepare()
    return {place: each.indexes for place, each in nowhere.collections.items() if each.indexes}
