"""What the pipeline could not process: list it, look at it, send it again."""

import typer
from rich.table import Table

from app.clients.broker import SetAside, open_broker
from app.errors import Missing
from app.topics import REJECTED

SHOWN = 2000
"""Bytes of a body on a terminal; a whole one may have a megabyte."""


async def list_rejected(servers: str) -> list[SetAside]:
    """Return what is set aside, oldest first.

    Args:
        servers: Kafka's address.

    Raises:
        Unavailable: Kafka does not answer.
    """
    async with open_broker(servers) as broker:
        # Until a first worker has started there is no such topic, and nothing in it.
        return await broker.rejected(REJECTED) if await broker.partition_counts([REJECTED]) else []


async def find_rejected(servers: str, position: str) -> SetAside:
    """Return one message that is set aside.

    Raises:
        Missing: nothing with this position is.
        Unavailable: Kafka does not answer.
    """
    for message in await list_rejected(servers):
        if message.position == position:
            return message
    raise Missing(f"a rejected message {position}")


async def resend_rejected(servers: str, position: str) -> None:
    """Publish a message that is set aside again.

    Raises:
        Missing: nothing with this position is.
        Unavailable: Kafka does not answer.
    """
    await find_rejected(servers, position)
    async with open_broker(servers) as broker:
        await broker.resend(REJECTED, position)


def list_messages(messages: list[SetAside]) -> Table:
    """What is set aside, a row per message."""
    table = Table("position", "time", "code", "reason", box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for each in messages:
        row = (each.position, *(each.headers.get(name, "-") for name in ("time", "code", "reason")))
        table.add_row(*row)
    return table


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
