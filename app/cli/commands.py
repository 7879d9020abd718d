"""All commands as one; what they do is imported when they are called, so that `--help` is quick."""

from typing import Final

import typer

from app.cli.doctor_commands import doctor_app
from app.cli.exits import EXIT_USAGE, MEANINGS
from app.cli.key_commands import key_app
from app.cli.model_commands import model_app
from app.cli.result_commands import result_app
from app.cli.set_aside_commands import rejected_app
from app.cli.stack_commands import stack_app
from app.cli.video_commands import video_app

EXIT_CODES: Final = "\n".join(f"{code:>4}  {meaning}" for code, meaning in MEANINGS.items())


def _require_command(context: typer.Context) -> None:
    # Typer's own `no_args_is_help` raises an error that only its private modules can tell from others.
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(EXIT_USAGE)


typer_app = typer.Typer(
    help="Find the objects in videos, on your own machine.",
    epilog=f"\b\nExit codes:\n{EXIT_CODES}",
    rich_markup_mode=None,
)
for part in (stack_app, doctor_app, video_app, result_app):
    typer_app.add_typer(part)
for name, group in {"rejected": rejected_app, "model": model_app, "keys": key_app}.items():
    typer_app.add_typer(group, name=name, callback=_require_command, invoke_without_command=True)

commands = typer.main.get_command(typer_app)
"""The command line as one object that can be called with arguments."""
