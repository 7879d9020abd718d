"""What one supervised program is: how it starts, how it stops, and how to tell that it is ready."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from app.local.ports import Listening


def assume_ready() -> None:
    """The probe of a program that has none: running is ready."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """One program of the stack.

    Attributes:
        name: unique in its stack; also the name of its log.
        command: the program and its arguments; never a secret, because every user of the machine can read it.
        environment: variables added to those of the process that starts the stack.
        directory: its working folder; None is that of the process that starts the stack.
        listens: the ports it takes.
        probe: returns when the program is ready, raises `Unavailable` with the reason when it is not.
        stop_wait: how long it may take after SIGTERM before it is killed.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None
    listens: tuple[Listening, ...] = ()
    probe: Callable[[], None] = assume_ready
    stop_wait: timedelta = timedelta(seconds=10)


def last_line(log: Path) -> str:
    """The last line with text in it, which for our own processes is the reason of their end."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
