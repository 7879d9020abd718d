"""API keys in Mongo: made, listed, revoked."""

from datetime import datetime

from rich.table import Table

from app.clients.main_db.api_keys import open_api_keys
from app.domain.api_keys import ApiKey, Quotas, Scope, in_order
from app.errors import Missing
from app.settings import Settings


async def create_key(
    settings: Settings, name: str, scopes: list[Scope], quotas: Quotas
) -> tuple[ApiKey, str]:
    """Make a key; answers what is known of it, and the key itself."""
    async with open_api_keys(settings) as keys:
        return await keys.create(name, scopes, quotas)


async def find_keys(settings: Settings) -> list[ApiKey]:
    """Return all keys, oldest first."""
    async with open_api_keys(settings) as keys:
        return await keys.all()


async def revoke_key(settings: Settings, key_id: str) -> None:
    """Make a key useless for ever.

    Raises:
        Missing: there is none, or it is useless already.
    """
    async with open_api_keys(settings) as keys:
        if not await keys.revoke(key_id):
            raise Missing(f"a key {key_id} that is not revoked yet")


def facts_of(key: ApiKey) -> dict[str, object]:
    """What is known of a key, for programs; never its digest, which nobody needs."""
    return {
        "id": key.id,
        "name": key.name,
        "scopes": in_order(key.scopes),
        "max_waiting": key.quotas.max_waiting,
        "bytes_per_day": key.quotas.bytes_per_day,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
    }


def table_of(keys: list[ApiKey]) -> Table:
    """Keys, a row for each."""
    columns = ("id", "name", "scopes", "waiting", "bytes a day", "created", "last used", "revoked")
    table = Table(*columns, box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for key in keys:
        quotas = (key.quotas.max_waiting, key.quotas.bytes_per_day)
        times = (key.created_at, key.last_used_at, key.revoked_at)
        bounds = ("-" if bound is None else str(bound) for bound in quotas)
        table.add_row(key.id, key.name, ",".join(in_order(key.scopes)), *bounds, *map(_shown, times))
    return table


def _shown(at: datetime | None) -> str:
    return "-" if at is None else f"{at:%Y-%m-%d %H:%M}"
