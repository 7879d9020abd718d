"""Where the process `kadr` begins and ends: one command, then its exit code."""

import logging
import os
import sys
from collections.abc import Sequence

from typer.exceptions import Abort, TyperException

from app.cli.commands import commands
from app.cli.exits import EXIT_FAILED, EXIT_INTERRUPTED, exit_code_of, say, sentence_of
from app.errors import KadrError


def main() -> None:
    """Run the command line of this process."""
    # What a library has to say of a server that is away is said by our error, in one line.
    logging.basicConfig(level=logging.CRITICAL, handlers=[logging.NullHandler()])
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command; answers the exit code."""
    try:
        return commands(list(arguments) or ["--help"], prog_name="kadr", standalone_mode=False) or 0
    except (KeyboardInterrupt, Abort):
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has had enough; Python would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except (TyperException, KadrError, OSError) as error:
        return say(sentence_of(error), exit_code=exit_code_of(error))
