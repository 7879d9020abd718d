"""Errors as one line on standard error, and the exit codes."""

import os
import sys
from collections.abc import Mapping
from typing import Final

from typer.exceptions import TyperException

from app.client.errors import NotReady, TookTooLong, VideoFailed
from app.errors import EXIT_MISCONFIGURED, Misconfigured, Rejected, RetryLater

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_UNAVAILABLE: Final = 69
EXIT_FILE: Final = 74
EXIT_NOT_READY: Final = 75
EXIT_INTERRUPTED: Final = 130

MEANINGS: Final[Mapping[int, str]] = {
    0: "all went well; `up` was ended by Ctrl-C or `down`",
    EXIT_FAILED: (
        "a video has failed, is unknown or was refused, a message is not set aside, or no picture can be read"
    ),
    EXIT_USAGE: "the command line is wrong",
    EXIT_UNAVAILABLE: "a service does not answer, or has too much to do (EX_UNAVAILABLE of sysexits.h)",
    EXIT_FILE: "a file cannot be read or written, or is there already (EX_IOERR)",
    EXIT_NOT_READY: "it is not there yet, or did not come in time; ask again later (EX_TEMPFAIL)",
    EXIT_MISCONFIGURED: (
        "an operator has to act: a port is taken, a setting is wrong, a stack runs already (EX_CONFIG)"
    ),
    EXIT_INTERRUPTED: "Ctrl-C",
}
"""What each exit code tells whoever called."""


def exit_code_of(error: Exception) -> int:
    """Which exit code tells a caller what it may do."""
    match error:
        case TyperException():
            return error.exit_code
        case NotReady() | TookTooLong():
            return EXIT_NOT_READY
        case RetryLater():
            return EXIT_UNAVAILABLE
        case Misconfigured():
            return EXIT_MISCONFIGURED
        case OSError():
            return EXIT_FILE
        case _:
            return EXIT_FAILED


def sentence_of(error: Exception) -> str:
    """What a user is told."""
    match error:
        case TyperException():
            return error.format_message()
        case VideoFailed():
            return str(error)
        case Rejected():
            return error.reason  # its code is for programs; they have the exit code
        case OSError(filename=str() | os.PathLike() as name, strerror=str() as cause):
            return f"{os.fspath(name)}: {cause}"
        case _:
            return str(error)


def say(sentence: str, *, exit_code: int = EXIT_FAILED) -> int:
    """Write one line to standard error; answers the exit code it was given."""
    sys.stderr.write(f"kadr: {' '.join(sentence.split())}\n")
    sys.stderr.flush()
    return exit_code
