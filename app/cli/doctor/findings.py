"""What was found, how bad it is, and which exit code that makes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from app.cli.exits import EXIT_UNAVAILABLE
from app.errors import EXIT_MISCONFIGURED

Verdict: TypeAlias = Literal["ok", "unknown", "warning", "away", "wrong"]
"""`unknown` could not be looked at here; `warning` works and may not tomorrow; `away` does not answer;
`wrong` keeps Kadr from working, or from keeping what it promises."""

WORST_FIRST: Final[Sequence[Verdict]] = ("wrong", "away", "warning", "unknown", "ok")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: what.
        verdict: how it is.
        said: what was seen.
        remedy: what to do; empty where nothing is to be done.
    """

    check: str
    verdict: Verdict
    said: str
    remedy: str = ""


def ok(check: str, said: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(check, "ok", said)


def warning(check: str, said: str, remedy: str) -> Finding:
    """Return that something works, and what to do before it does not."""
    return Finding(check, "warning", said, remedy)


def wrong(check: str, said: str, remedy: str) -> Finding:
    """Return that something is wrong, and what to do."""
    return Finding(check, "wrong", said, remedy)


def unknown(check: str, said: str, remedy: str = "") -> Finding:
    """Return that something cannot be looked at from here."""
    return Finding(check, "unknown", said, remedy)


def exit_code_of(findings: Iterable[Finding]) -> int:
    """Return 78 when something is wrong, else 69 when something is away, else 0."""
    verdicts = {each.verdict for each in findings}
    if "wrong" in verdicts:
        return EXIT_MISCONFIGURED
    return EXIT_UNAVAILABLE if "away" in verdicts else 0


def summary_of(findings: Sequence[Finding]) -> str:
    """Return how many there are of each kind, the worst first, in one line."""
    counts = [(sum(each.verdict == verdict for each in findings), verdict) for verdict in WORST_FIRST]
    return ", ".join(f"{count} {verdict}" for count, verdict in counts if count)
