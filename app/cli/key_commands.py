"""`kadr keys`: makes API keys, lists them and revokes them; speaks to Mongo, not to the API."""

import asyncio
import os
from typing import Annotated

import typer

from app.cli.arguments import AsJson
from app.cli.written import write_json
from app.domain.api_keys import SCOPES, Quotas, in_order

key_app = typer.Typer(help="API keys: who may use the API, and for what.")

LONGEST_NAME = 200
"""Characters: enough for a sentence about whose key it is."""

MOST_WAITING = 10_000
"""Videos: more are not looked up for one decision."""


@key_app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is, or what for.")],
    *,
    scope: Annotated[
        list[str],
        typer.Option(metavar="|".join(SCOPES), help="What it may be used for; may be repeated."),
    ],
    max_waiting: Annotated[
        int | None, typer.Option(min=1, max=MOST_WAITING, help="Videos that may wait for a result.")
    ] = None,
    bytes_per_day: Annotated[
        int | None, typer.Option(min=1, help="Bytes that may be uploaded per day (UTC).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and write it to standard output. It is shown this once and kept nowhere."""
    from app.cli.keys import create_key, facts_of
    from app.cli.servers import find_settings
    from app.cli.terminal import create_notes

    if not 1 <= len(name.strip()) <= LONGEST_NAME or not name.isprintable():
        raise typer.BadParameter(f"a name has 1 to {LONGEST_NAME} characters that can be seen")
    scopes = [each for each in SCOPES if each in scope]
    if unknown := set(scope) - set(scopes):
        raise typer.BadParameter(f"there is no scope {min(unknown)}: it is one of {', '.join(SCOPES)}")
    quotas = Quotas(max_waiting, bytes_per_day)
    key, text = asyncio.run(create_key(find_settings(os.environ), name.strip(), scopes, quotas))
    if as_json:
        write_json({"key": text} | facts_of(key))
        return
    create_notes().print(f"{key.id} may {', '.join(in_order(key.scopes))}. It is not shown again:")
    typer.echo(text)


@key_app.command("list")
def list_keys(*, as_json: AsJson = False) -> None:
    """List the keys, oldest first; the keys themselves are not known to anybody here."""
    from app.cli.keys import facts_of, find_keys, table_of
    from app.cli.servers import find_settings
    from app.cli.terminal import create_notes, create_output

    found = asyncio.run(find_keys(find_settings(os.environ)))
    if as_json:
        write_json([facts_of(key) for key in found])
        return
    if found:
        create_output().print(table_of(found))
    create_notes().print(f"{len(found)} key{'' if len(found) == 1 else 's'}")


@key_app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `keys list` prints it.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Make a key useless for ever. The API may go on to accept it for two seconds."""
    from app.cli.keys import revoke_key
    from app.cli.servers import find_settings

    asyncio.run(revoke_key(find_settings(os.environ), key_id))
    if as_json:
        write_json({"id": key_id, "revoked": True})
        return
    typer.echo(f"{key_id} is revoked.")
