"""`python -m tests.faults`: the long run, for nights and releases."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from tests.faults.catalog import CATALOG
from tests.faults.fault import Fault
from tests.faults.kadr import Kadr, open_kadr
from tests.faults.plan import LONGEST_DELAY, QUICK_DELAY, Step, make_plan
from tests.faults.report import Run, line_of
from tests.faults.step import kept_logs, take_step


def main() -> int:
    """Run the faults that the command line asks for; return 1 if anything was wrong."""
    asked = _parse()
    faults = {each.name: each for each in CATALOG if _is_asked(each, asked.only)}
    run = Run(asked.seed, asked.rounds)
    run.skipped = {name: why for name, each in faults.items() if (why := each.obstacle()) is not None}
    for name, why in run.skipped.items():
        _say(f"skipped {name}: {why}")
    left = {name: each for name, each in faults.items() if name not in run.skipped}
    if not left:
        _say(f"no fault is called {asked.only}; there are: {', '.join(each.name for each in CATALOG)}")
        return 2
    report = asked.report or Path(f".data/faults/seed-{asked.seed}")
    report.mkdir(parents=True, exist_ok=True)
    _say(f"seed {asked.seed}, {asked.rounds} rounds of {len(left)} faults; the report goes to {report}")
    with (
        tempfile.TemporaryDirectory(prefix="kadr-faults-") as root,
        open_kadr(Path(root), is_quick=asked.quick) as kadr,
    ):
        plan = make_plan(
            asked.seed,
            rounds=asked.rounds,
            faults=left,
            clips=list(kadr.clips),
            longest_delay=QUICK_DELAY if asked.quick else LONGEST_DELAY,
        )
        _follow(kadr, plan, left, run, report)
    _say(run.markdown())
    return 1 if run.has_violations else 0


def _follow(kadr: Kadr, plan: Sequence[Step], faults: dict[str, Fault], run: Run, report: Path) -> None:
    run.note_memory(kadr.pipeline.stack)
    for step in plan:
        with kept_logs(kadr, report / f"step-{step.number:03}-{step.fault}") as keep:
            result = take_step(kadr, step, faults[step.fault])
            if result.violations:
                keep()
        run.results.append(result)
        _say(line_of(result))
        for violation in result.violations:
            _say(f"     {violation}")
        run.write(report)  # after each step: a night's run that is cut off has not been for nothing
    run.note_memory(kadr.pipeline.stack)
    run.write(report)


def _is_asked(fault: Fault, only: str) -> bool:
    return not only or any(fnmatch(fault.name, pattern) for pattern in only.replace(",", " ").split())


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="decides everything that happens")
    parser.add_argument("--rounds", type=int, default=1, help="how often each fault happens")
    parser.add_argument("--only", default="", help="names of faults, such as 'kill-* commit-gather.*'")
    parser.add_argument("--quick", action="store_true", help="short outages and clips, as in the tests")
    parser.add_argument(
        "--report", type=Path, help="folder of the report, and of logs where something is wrong"
    )
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is a command


if __name__ == "__main__":
    sys.exit(main())
