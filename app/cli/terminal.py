"""The two consoles: results go to standard output, everything else to standard error."""

import sys
from typing import Final

from rich.console import Console

WIDE: Final = 200
"""Columns where no terminal says how many there are: a file or a pipe shall get whole lines."""


def create_output() -> Console:
    """The console for what was asked for."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)


def create_notes() -> Console:
    """The console for progress and remarks, which a pipe does not get."""
    return Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else WIDE)
