"""`python -m tests.hostile.corpus [--report F]`: a table of what becomes of every hostile file there is."""

import argparse
import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

from app.decoding.process import open_decoding_pool
from app.settings import Settings
from tests.hostile.crafted import BUILDERS
from tests.hostile.cuts import CLIPS, write_cuts
from tests.hostile.verdicts import HEAD, Verdict, judge, summarize
from tests.support.clips import data_folder


def groups(folder: Path) -> Iterator[tuple[str, list[Path]]]:
    """Yield each group of files, by name; those that are made are written into the folder."""
    data = data_folder()
    for name in ("corrupt", "edge") if data is not None else ():
        yield f"real: {name}", sorted((data or folder).joinpath(name).iterdir())
    made = []
    for name, (build, _) in sorted(BUILDERS.items()):
        path = folder / name
        build(path)
        made.append(path)
    yield "crafted", made
    yield "cut at every tenth", [each for name in CLIPS for each in write_cuts(folder, name)]


async def judge_all() -> Iterator[tuple[str, list[Verdict]]]:
    """Return each group with what became of its files."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        async with open_decoding_pool(Settings()) as pool:
            for name, paths in groups(Path(folder)):
                found.append((name, [await judge(pool, path) for path in paths]))
    return iter(found)


def main() -> None:
    """Print the table, and below it what became of each file."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.corpus", description=__doc__)
    parser.add_argument("--report", type=Path, help="file that the table is written to, too")
    given = parser.parse_args()
    found = list(asyncio.run(judge_all()))
    lines = [HEAD, *(summarize(name, verdicts) for name, verdicts in found), ""]
    for name, verdicts in found:
        lines += [f"{name}: {each.name}: {each.outcome} {each.death}".rstrip() for each in verdicts]
    text = "\n".join(lines)
    print(text)  # noqa: T201  (a command's output)
    if given.report is not None:
        given.report.write_text(f"{text}\n")


if __name__ == "__main__":
    main()
