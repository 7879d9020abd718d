"""What the pipeline could not process: list it, look at it, send it again."""

import typer
from rich.table import Table

from app.clients.kafka.broker import SetAside, open_broker
from app.rejected import find_rejected, list_rejected, resend_rejected
from app.settings import Settings

SHOWN = 2000
"""Bytes of a body on a terminal; a whole one may have a megabyte."""


async def find_messages(settings: Settings) -> list[SetAside]:
    """Return what is set aside, oldest first."""
    async with open_broker(settings.kafka_bootstrap_servers) as broker:
        return await list_rejected(broker)


async def find_message(settings: Settings, position: str) -> SetAside:
    """Return one message that is set aside, with its body."""
    async with open_broker(settings.kafka_bootstrap_servers) as broker:
        return await find_rejected(broker, settings, position)


async def resend_message(settings: Settings, position: str) -> None:
    """Publish a message that is set aside again."""
    async with open_broker(settings.kafka_bootstrap_servers) as broker:
        await resend_rejected(broker, settings, position)


def list_messages(messages: list[SetAside]) -> Table:
    """What is set aside, a row per message."""
    table = Table("position", "time", "code", "reason", box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for each in messages:
        row = (each.position, *(each.headers.get(name, "-") for name in ("time", "code", "reason")))
        table.add_row(*row)
    return table


def facts_of(message: SetAside) -> dict[str, object]:
    """What is known of one message, for programs; without its body."""
    key = (message.key or b"").decode(errors="backslashreplace")
    return {"position": message.position, "key": key, "headers": message.headers, "bytes": len(message.body)}


def show_message(message: SetAside) -> None:
    """Write one message to standard output: where it was, its key and headers, then its body."""
    typer.echo(f"position: {message.position}")
    typer.echo(f"key: {(message.key or b'').decode(errors='backslashreplace')}")
    for name, value in sorted(message.headers.items()):
        typer.echo(f"{name}: {value}")
    typer.echo(f"bytes: {len(message.body)}\n")
    typer.echo(message.body[:SHOWN].decode(errors="backslashreplace"))
    if len(message.body) > SHOWN:
        typer.echo(f"… and {len(message.body) - SHOWN} bytes more")
