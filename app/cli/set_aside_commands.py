"""`kadr rejected`: what the pipeline has set aside; speaks to Kafka, not to the API."""

import asyncio
import os
from typing import Annotated

import typer

from app.cli.arguments import AsJson
from app.cli.written import write_json, write_lines

rejected_app = typer.Typer(help="Messages that the pipeline has set aside.")

Position = Annotated[str, typer.Argument(help="TOPIC/PARTITION/OFFSET, as `rejected list` prints it.")]


@rejected_app.command("list")
def list_command(*, as_json: AsJson = False) -> None:
    """List what is set aside, oldest first."""
    from app.cli.servers import find_settings
    from app.cli.set_aside import facts_of, find_messages, list_messages
    from app.cli.terminal import create_notes, create_output

    found = asyncio.run(find_messages(find_settings(os.environ)))
    if as_json:
        write_lines(map(facts_of, found))
        return
    if found:
        create_output().print(list_messages(found))
    create_notes().print(f"{len(found)} message{'' if len(found) == 1 else 's'} set aside")


@rejected_app.command()
def show(position: Position, *, as_json: AsJson = False) -> None:
    """Show one message: its headers and its body."""
    from app.cli.servers import find_settings
    from app.cli.set_aside import facts_of, find_message, show_message

    found = asyncio.run(find_message(find_settings(os.environ), position))
    if as_json:
        write_json({**facts_of(found), "body": found.body.decode(errors="backslashreplace")})
        return
    show_message(found)


@rejected_app.command()
def resend(position: Position, *, as_json: AsJson = False) -> None:
    """Publish one message again; it is no longer set aside."""
    from app.cli.servers import find_settings
    from app.cli.set_aside import resend_message

    asyncio.run(resend_message(find_settings(os.environ), position))
    if as_json:
        write_json({"position": position, "resent": True})
        return
    typer.echo(f"{position} is sent again.")
