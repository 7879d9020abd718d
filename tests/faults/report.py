"""What a run says: a line for each step, a table for each kind, JSON and Markdown."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from app.local.stack import LocalStack
from tests.faults.step import Result

COLUMNS: Final = (
    "kind",
    "injected",
    "videos",
    "frames",
    "lost",
    "doubled",
    "stuck",
    "violations",
    "longest recovery, s",
    "longest gap, s",
)

PAGE: Final = 4096
"""Bytes; as `statm` counts."""


def line_of(result: Result) -> str:
    """Return a step as one line."""
    found, step = result.findings, result.step
    facts = (
        f"{step.number:4} {step.fault:34} after {step.delay:4.1f} s",
        f"{found.videos:3} videos {found.frames:5} frames",
        f"ended in {result.recovery:5.1f} s, gap {result.longest_gap:5.1f} s",
        f"{len(found.violations)} VIOLATIONS" if found.violations else "ok",
    )
    return "  ".join(facts)


def table_of(results: Sequence[Result]) -> list[list[str]]:
    """Return one row for each kind, and one for all of them."""
    kinds = sorted({each.kind for each in results})
    rows = [_row(kind, [each for each in results if each.kind == kind]) for kind in kinds]
    return [*rows, _row("all", results)]


def _row(name: str, results: Sequence[Result]) -> list[str]:
    found = [each.findings for each in results]
    counts = (
        len(results),
        sum(each.videos for each in found),
        sum(each.frames for each in found),
        sum(each.lost for each in found),
        sum(each.doubled for each in found),
        sum(each.stuck for each in found),
        sum(len(each.violations) for each in found),
    )
    longest = max((each.recovery for each in results), default=0.0)
    gap = max((each.longest_gap for each in results), default=0.0)
    return [name, *map(str, counts), f"{longest:.1f}", f"{gap:.1f}"]


def as_text(rows: Sequence[Sequence[str]], columns: Sequence[str] = COLUMNS) -> str:
    """Return a table as Markdown, its columns aligned."""
    widths = [max(len(row[number]) for row in [columns, *rows]) for number in range(len(columns))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in [columns, ["-" * width for width in widths], *rows]
    ]
    return "\n".join(lines)


@dataclasses.dataclass
class Run:
    """Everything that a run has found.

    Attributes:
        seed: of its plan.
        rounds: that were planned.
        skipped: faults that this machine cannot make happen, with the reason.
        memory: bytes of each program and its children before and after.
    """

    seed: int
    rounds: int
    results: list[Result] = dataclasses.field(default_factory=list)
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)
    memory: dict[str, list[int]] = dataclasses.field(default_factory=dict)

    @property
    def has_violations(self) -> bool:
        """Whether anything is wrong."""
        return any(each.violations for each in self.results)

    def note_memory(self, stack: LocalStack) -> None:
        """Note what every program takes now."""
        for name in stack.names:
            self.memory.setdefault(name, []).append(memory_of(stack.pid_of(name)))

    def markdown(self) -> str:
        """Return the report for people."""
        parts = [f"# Faults: seed {self.seed}, {self.rounds} rounds", as_text(table_of(self.results))]
        memory = [[name, *(f"{each >> 20}" for each in values)] for name, values in self.memory.items()]
        if memory and len(memory[0]) == len(MEMORY_COLUMNS):
            parts.append(as_text(memory, MEMORY_COLUMNS))
        if self.skipped:
            parts.append("\n".join(f"* skipped {name}: {why}" for name, why in sorted(self.skipped.items())))
        for each in self.results:
            if each.violations:
                violations = "\n".join(f"* {violation}" for violation in each.violations)
                parts.append(f"## Step {each.step.number}: {each.step.fault}\n\n{violations}")
        return "\n\n".join(parts) + "\n"

    def write(self, folder: Path) -> None:
        """Write the report as JSON and as Markdown."""
        facts: Mapping[str, Any] = dataclasses.asdict(self)
        (folder / "faults.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
        (folder / "faults.md").write_text(self.markdown(), encoding="utf-8")


MEMORY_COLUMNS: Final = ("program", "MiB before", "MiB after")


def memory_of(pid: int) -> int:
    """Return the resident bytes of a process and all that it has started; 0 when it does not run."""
    children: dict[int, list[int]] = {}
    pages: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text(encoding="utf-8", errors="replace")
            pages[int(folder.name)] = int((folder / "statm").read_text(encoding="ascii").split()[1])
        except (OSError, IndexError):
            continue
        # The name in brackets may hold anything, blanks too.
        parent = int(status.rpartition(")")[2].split()[1])
        children.setdefault(parent, []).append(int(folder.name))
    found, waiting = 0, [pid] if pid else []
    while waiting:
        one = waiting.pop()
        found += pages.get(one, 0) * PAGE
        waiting += children.get(one, [])
    return found
