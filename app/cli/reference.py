"""The reference of the command line, from the commands themselves: `python -m app.cli.reference`."""

import sys
from collections.abc import Iterator
from typing import Any, Final

from app.cli.commands import commands
from app.cli.exits import MEANINGS

HEAD: Final = """\
# The command line

`make` installs it as `.venv/bin/kadr`. It speaks to a running Kadr: the one that `--api` or `API_URL` names,
else port 8080 of this machine (`API_PORT`), with the key in `KADR_API_KEY` where one is needed. It uses the
[Python client](client.md), so what the client tries again, the commands try again.

* **Results go to standard output, everything else beside it.** `--json`, which every command has, writes a
  JSON document for one thing, and one a line (JSON Lines) for several; `status` and `keys list` write one for
  all. Nothing else is on standard output then. Progress and remarks go to standard error.
* **Exit codes** say what a script may do next; they are [below](#exit-codes).
* **Completion**: `kadr --install-completion` for bash, zsh and fish; `--show-completion` only prints it.

This page is made from the commands: `python -m app.cli.reference > docs/cli.md`.
"""


def reference() -> str:
    """Return the whole page."""
    parts = [HEAD, "## Commands\n", *_index(), *_commands(commands, "kadr"), "## Exit codes\n", *_exits()]
    return "\n".join(parts) + "\n"


def _index() -> Iterator[str]:
    yield "| command | what it does |\n|---|---|"
    for path, command in _walk(commands, "kadr"):
        anchor = path.replace(" ", "-")
        yield f"| [`{path}`](#{anchor}) | {_first_sentence(command.help or '')} |"
    yield ""


def _commands(group: Any, path: str) -> Iterator[str]:  # noqa: ANN401 - typer's own click, which it does not export
    for name, command in _walk(group, path):
        yield f"## {name}\n"
        yield f"```\n{name}{_arguments(command)} [OPTIONS]\n```\n"
        yield f"{_paragraphs(command.help or '')}\n"
        rows = [row for row in _rows(command, name) if row]
        if rows:
            yield "| option | meaning |\n|---|---|"
            yield from rows
            yield ""


def _walk(group: Any, path: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - see above
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _walk(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _arguments(command: Any) -> str:  # noqa: ANN401 - see above
    named = (each for each in command.params if each.param_type_name == "argument")
    return "".join(f" {each.metavar or each.name.upper()}" for each in named)


def _rows(command: Any, name: str) -> Iterator[str]:  # noqa: ANN401 - see above
    context = command.make_context(name, [], resilient_parsing=True)
    for param in command.params:
        record = param.get_help_record(context)
        if record is not None:
            option, meaning = (" ".join(each.split()).replace("|", "\\|") for each in record)
            yield f"| `{option}` | {meaning} |"


def _exits() -> Iterator[str]:
    yield "| code | meaning |\n|---|---|"
    for code, meaning in MEANINGS.items():
        yield f"| {code} | {meaning} |"


def _first_sentence(text: str) -> str:
    return " ".join(text.split("\n\n", maxsplit=1)[0].split())


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(each.split()) for each in text.split("\n\n"))


if __name__ == "__main__":
    sys.stdout.write(reference())
