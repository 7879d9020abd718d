"""What is said of the command line is so: its reference, `--json` everywhere, completion, a quick start."""

import os
import pty
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.cli.commands import commands
from app.cli.exits import MEANINGS
from app.cli.reference import reference
from tests.support.kadr_stand_in import StandIn, open_stand_in

ROOT = Path(__file__).parents[2]

HEAVY = ("httpx", "rich", "pydantic_settings", "pymongo", "minio", "aiokafka", "numpy", "cv2")
"""Imports that take longer than everything that help needs. Typer itself reads arguments with pydantic."""


def leaves(group: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:  # noqa: ANN401 - click's
    """Every command with its path."""
    found: list[tuple[tuple[str, ...], Any]] = []
    for name, command in group.commands.items():
        is_group = hasattr(command, "commands")
        found += leaves(command, (*path, name)) if is_group else [((*path, name), command)]
    return found


def options(command: Any) -> list[str]:  # noqa: ANN401 - see above
    """The options of a command, in all their names."""
    return [name for param in command.params for name in param.opts]


def test_the_reference_is_that_of_the_commands() -> None:
    told = "it has changed: .venv/bin/python -m app.cli.reference > docs/cli.md"
    assert (ROOT / "docs/cli.md").read_text(encoding="utf-8") == reference(), told


def test_every_command_can_speak_json() -> None:
    lacking = [path for path, command in leaves(commands) if "--json" not in options(command)]
    assert lacking == []


def test_every_exit_code_is_in_the_help() -> None:
    run = subprocess.run(
        (sys.executable, "-m", "app.cli", "--help"), cwd=ROOT, check=True, capture_output=True, text=True
    )
    for code, meaning in MEANINGS.items():
        assert f"{code}  {meaning}" in run.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["detect", "--help"], ["keys", "--help"]])
def test_help_imports_nothing_that_takes_long(arguments: list[str]) -> None:
    script = f"""if True:
        import sys
        from app.cli.entry import run
        run({arguments!r})
        print(*({{*{HEAVY!r}}} & set(sys.modules)), file=sys.stderr)
    """
    run = subprocess.run((sys.executable, "-c", script), cwd=ROOT, check=True, capture_output=True, text=True)
    assert run.stderr.strip() == ""
    assert "Usage:" in run.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_written_for_each_shell(shell: str) -> None:
    environment = {**os.environ, "_KADR_COMPLETE": f"source_{shell}"}
    run = subprocess.run(
        (sys.executable, "-m", "app.cli"),
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    assert "_KADR_COMPLETE" in run.stdout
    assert "kadr" in run.stdout


BASH = """
eval "$(kadr --show-completion bash)"
[[ $(complete -p kadr) =~ -F\\ ([^ ]+) ]]
for line; do
    read -ra COMP_WORDS <<< "$line"
    [[ $line == *\\  ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    "${BASH_REMATCH[1]}" kadr "${COMP_WORDS[COMP_CWORD]}"
    echo "${COMPREPLY[*]}"
done
"""
"""Does to each line what bash does when somebody presses the key Tab at its end."""


def with_kadr(**given: str) -> dict[str, str]:
    """An environment in which `kadr` is found."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **given}


def completed(stand_in: StandIn, *lines: str) -> list[set[str]]:
    """What bash is offered at the end of each line."""
    command = ("bash", "--norc", "-c", BASH, "bash", *lines)
    environment = with_kadr(API_URL=stand_in.url)
    run = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    assert run.stderr == ""
    return [set(line.split()) for line in run.stdout.splitlines()]


def test_completion_knows_commands_options_and_words() -> None:
    with open_stand_in() as stand_in:
        every, option, words = completed(stand_in, "kadr ", "kadr detect --e", "kadr export --format c")
        assert stand_in.seen == []
    assert {"detect", "show", "rm"} <= every
    assert "--existing" in option
    assert words == {"csv", "coco"}


def test_bash_completes_commands_and_files_as_they_are_typed(tmp_path: Path) -> None:
    (tmp_path / "street.mp4").touch()
    terminal, shell = pty.openpty()
    command = ("bash", "--norc", "--noprofile", "-i")
    environment = with_kadr(PS1="$ ", TERM="dumb")
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdin=shell, stdout=shell, stderr=shell
    ) as bash:
        os.write(terminal, b'eval "$(kadr --show-completion bash)"; echo is "ready"\n')
        read_until(terminal, b"is ready")
        os.write(terminal, b"kadr det\t")
        read_until(terminal, b"kadr detect ")
        os.write(terminal, b"str\t")
        read_until(terminal, b"street.mp4 ")
        bash.kill()
    os.close(terminal)
    os.close(shell)


def read_until(terminal: int, text: bytes) -> None:
    """Read what a terminal shows until it shows a text."""
    shown = b""
    while text not in shown:
        ready, _, _ = select.select([terminal], [], [], 30)
        assert ready, shown
        shown += os.read(terminal, 4096)
