"""The table of all numbers, for docs/metrics.md: `python -m app.telemetry.reference`."""

import sys
from collections.abc import Iterator
from typing import Final

from app.telemetry.metrics import CATALOGUE, EVERYBODY, WORKERS, Entry
from app.telemetry.stages import STAGES

NAMED: Final = {EVERYBODY: "all", WORKERS: "workers"}


def tables() -> str:
    """Return the table of the numbers and that of the stages, as Markdown."""
    return "\n".join([*_numbers(), "", *_stages(), ""])


def _numbers() -> Iterator[str]:
    yield "| metric | type | labels | shown by | meaning |"
    yield "|---|---|---|---|---|"
    yield from (_row(entry) for entry in CATALOGUE)


def _row(entry: Entry) -> str:
    labels = ", ".join(f"`{label}`" for label in entry.labels) or "-"
    roles = NAMED.get(entry.roles, ", ".join(entry.roles))
    return f"| `{entry.name}` | {entry.kind} | {labels} | {roles} | {entry.meaning} |"


def _stages() -> Iterator[str]:
    yield "| `stage` | shown by | what is timed |"
    yield "|---|---|---|"
    yield from (f"| `{stage}` | {role} | {meaning} |" for stage, (role, meaning) in STAGES.items())


if __name__ == "__main__":
    sys.stdout.write(tables())
