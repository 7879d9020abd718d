"""Errors as one line on standard error, and the exit codes.

====  ==================================================================================================
0     all went well; `up` was ended by Ctrl-C or `down`
1     a video has failed, is unknown or was refused, a message is not set aside, or no picture can be read
2     the command line is wrong
69    a service does not answer (EX_UNAVAILABLE of BSD's sysexits.h)
74    a file cannot be read or written (EX_IOERR)
75    the result is not there yet; ask again later (EX_TEMPFAIL)
78    an operator has to act: a port is taken, a setting is wrong, a stack runs already (EX_CONFIG)
130   Ctrl-C
====  ==================================================================================================
"""

import os
import sys
from typing import Final

from pydantic import ValidationError
from typer.exceptions import TyperException

from app.errors import EXIT_MISCONFIGURED, KadrError, Misconfigured, Rejected, RetryLater

EXIT_FAILED: Final = 1
EXIT_UNAVAILABLE: Final = 69
EXIT_FILE: Final = 74
EXIT_NOT_READY: Final = 75
EXIT_INTERRUPTED: Final = 130


class NotYet(RetryLater):
    """A result is not there yet."""

    def __init__(self, video_id: str, status: str) -> None:
        super().__init__(f"the video {video_id} is not ready yet: its status is {status}")


class VideoFailed(KadrError):
    """A video has ended without a result."""

    def __init__(self, video_id: str, reason: str) -> None:
        super().__init__(f"the video {video_id} failed: {reason}")


def exit_code_of(error: Exception) -> int:
    """Which exit code tells a caller what it may do."""
    match error:
        case TyperException():
            return error.exit_code
        case NotYet():
            return EXIT_NOT_READY
        case RetryLater():
            return EXIT_UNAVAILABLE
        case Misconfigured() | ValidationError():
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
        case Rejected():
            return error.reason  # its code is for programs; they have the exit code
        case ValidationError():
            problem = error.errors()[0]
            name = "_".join(str(part) for part in problem["loc"]).upper()
            return f"the setting {name} is not usable: {problem['msg']}"
        case OSError(filename=str() | os.PathLike() as name, strerror=str() as cause):
            return f"{os.fspath(name)}: {cause}"
        case _:
            return str(error)


def say(sentence: str, *, exit_code: int = 0) -> int:
    """Write one line to standard error; answers the exit code it was given."""
    sys.stderr.write(f"kadr: {' '.join(sentence.split())}\n")
    sys.stderr.flush()
    return exit_code
