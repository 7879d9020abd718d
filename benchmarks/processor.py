"""Processor time of processes and of the machine, out of /proc."""

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Self

TICK: Final = 1000 / os.sysconf("SC_CLK_TCK")
"""Milliseconds per unit of /proc; what is read is exact to one of these."""

PROC: Final = Path("/proc")


class Times(NamedTuple):
    """What the kernel has counted for one process, in milliseconds, user and system together.

    Attributes:
        parent: process id of its parent.
        own: of the process itself, all its threads.
        reaped: of its children, and theirs, that have ended and were waited for.
    """

    parent: int
    own: float
    reaped: float


class Usage(NamedTuple):
    """Processor time of a process and of everything that it has ever started, in milliseconds."""

    own: float
    children: float

    @property
    def total(self) -> float:
        """Both together."""
        return self.own + self.children

    def since(self, before: "Usage") -> "Usage":
        """Return what was used since an earlier reading."""
        return Usage(self.own - before.own, self.children - before.children)


class Machine(NamedTuple):
    """What all processors together have done since boot, in milliseconds.

    Attributes:
        busy: for anybody on this machine.
        stolen: taken by other guests of the same host, while somebody here wanted to run.
    """

    busy: float
    stolen: float


@dataclass(frozen=True)
class Reading:
    """Everything that is read at one moment.

    Attributes:
        at: seconds of the monotonic clock, which every process of the machine shares.
        machine: all processors.
        usage: by name of a process.
    """

    at: float
    machine: Machine
    usage: Mapping[str, Usage]

    @classmethod
    def take(cls, pids: Mapping[str, int]) -> Self:
        """Read now; each process of `pids` with its descendants."""
        processes = read_processes()
        usage = {name: usage_of(pid, processes) for name, pid in pids.items()}
        machine = parse_machine((PROC / "stat").read_text(encoding="ascii"))
        return cls(time.monotonic(), machine, usage)

    def used(self, before: "Reading") -> dict[str, Usage]:
        """Return what each process has used since an earlier reading."""
        return {name: usage.since(before.usage[name]) for name, usage in self.usage.items()}

    def others(self, before: "Reading", ours: Iterable[str]) -> float:
        """Return how many processors others than `ours` have kept busy since, other guests included."""
        used = self.used(before)
        busy = sum(self.machine) - sum(before.machine) - sum(used[name].total for name in ours)
        return max(0.0, busy / 1000 / (self.at - before.at))


def parse_stat(text: str) -> Times:
    """Read a /proc/PID/stat (proc(5)): field 4 is the parent, 14 to 17 are the times in ticks."""
    # The name in brackets may hold anything, blanks and brackets too.
    fields = text.rpartition(")")[2].split()
    user, system, reaped_user, reaped_system = map(int, fields[11:15])
    return Times(int(fields[1]), (user + system) * TICK, (reaped_user + reaped_system) * TICK)


def parse_machine(text: str) -> Machine:
    """Read the first line of /proc/stat (proc(5)): user, nice, system, idle, iowait, irq, softirq, steal."""
    user, nice, system, _idle, _waiting, irq, softirq, steal = map(int, text.split()[1:9])
    return Machine((user + nice + system + irq + softirq) * TICK, steal * TICK)


def read_processes() -> dict[int, Times]:
    """Return the times of every process there is now."""
    found = {}
    for folder in PROC.glob("[0-9]*"):
        try:
            found[int(folder.name)] = parse_stat((folder / "stat").read_text(errors="replace"))
        except OSError:
            continue  # it has ended while we looked
    return found


def children_of(pid: int) -> list[int]:
    """Return every process that a process has started, and theirs, that still runs."""
    return _descendants(pid, read_processes())


def usage_of(pid: int, processes: Mapping[int, Times]) -> Usage:
    """Return the usage of a process; zero when it does not run.

    A child that ends passes from `own` of its own into `reaped` of its parent, so that nothing is lost.
    """
    if pid not in processes:
        return Usage(0.0, 0.0)
    children = processes[pid].reaped
    for child in _descendants(pid, processes):
        children += processes[child].own + processes[child].reaped
    return Usage(processes[pid].own, children)


def _descendants(pid: int, processes: Mapping[int, Times]) -> list[int]:
    found = [child for child, times in processes.items() if times.parent == pid]
    return found + [deeper for child in found for deeper in _descendants(child, processes)]
