"""Many files through Kadr, each result into a file of its own; what is interrupted is cancelled."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, TypeAlias

from rich.console import Console

from app.cli.addresses import Addresses, find_addresses, open_async_kadr, open_kadr
from app.cli.bars import Bars, open_bars
from app.cli.following import AT_ONCE, Followed, Wish, follow, upload
from app.client import AsyncKadr
from app.client.findings import ENDINGS, Format
from app.errors import KadrError
from app.local.interrupts import run_interruptible

Existing: TypeAlias = Literal["refuse", "skip", "replace"]
"""What becomes of a result whose file is there already."""

CANCEL_WITHIN: Final = 5.0
"""Seconds that Ctrl-C waits for Kadr to cancel a video."""


@dataclass(frozen=True)
class Job:
    """A file, and where its result is written."""

    file: Path
    target: Path


def plan_jobs(files: Sequence[Path], folder: Path, form: Format, existing: Existing) -> list[Job]:
    """Return what is to be done.

    Raises:
        OSError: a file cannot be read; or its result is there, and is not to be replaced or skipped.
    """
    jobs = [Job(file, target) for file, target in zip(files, name_targets(files, folder, form), strict=True)]
    for job in jobs:
        job.file.open("rb").close()
    there = [job for job in jobs if job.target.exists()]
    if there and existing == "refuse":
        raise FileExistsError(17, "There is such a file (--existing skip or replace)", str(there[0].target))
    return [job for job in jobs if not (existing == "skip" and job in there)]


def name_targets(files: Iterable[Path], folder: Path, form: Format) -> list[Path]:
    """Return where results are written: named after the files, each name once (`a.json`, `a-2.json`)."""
    taken: set[str] = set()
    found = []
    for file in files:
        number, name = 1, file.stem
        while name in taken:
            number += 1
            name = f"{file.stem}-{number}"
        taken.add(name)
        found.append(folder / f"{name}{ENDINGS[form]}")
    return found


@contextlib.contextmanager
def running_kadr(environment: Mapping[str, str], api: str | None, notes: Console) -> Iterator[Addresses]:
    """Yield where Kadr is: as is said, or what runs here, or else a stack for as long as this lasts.

    Raises:
        KadrError: it did not get ready; the sentence says why.
    """
    found = find_addresses(environment, api=api)
    if api or environment.get("API_URL"):
        yield found
        return
    with open_kadr(found=found) as kadr:
        is_there = kadr.is_ready()
    if is_there:
        yield found
        return
    from app.cli.local_stack import use_stack  # noqa: PLC0415 - the servers' libraries, only where one is started
    from app.local.stack import LocalStack  # noqa: PLC0415 - see above

    with use_stack(LocalStack.from_environment(environment), notes):
        yield found


def detect_all(
    jobs: Sequence[Job],
    wish: Wish,
    form: Format,
    *,
    found: Addresses,
    notes: Console,
    told: Callable[[Followed], None],
) -> None:
    """Find the objects in files.

    Args:
        jobs: the files and where their results are written.
        wish: how they are looked at.
        form: how results are written.
        found: where Kadr is.
        notes: where progress is shown.
        told: of each file that has ended.

    Raises:
        KadrError: Kadr was away for too long.
        OSError: a result cannot be written.
    """

    async def run(bars: Bars) -> None:
        async with open_async_kadr(found=found) as kadr:
            await _Detection(kadr, wish, form, bars, told).run(jobs)

    for job in jobs[:1]:
        job.target.parent.mkdir(parents=True, exist_ok=True)
    with open_bars(notes, len(jobs)) as bars:
        try:
            run_interruptible(run(bars))
        except BaseExceptionGroup as several:
            raise _first(several) from several


@dataclass(frozen=True)
class _Detection:
    """Files on their way through Kadr."""

    kadr: AsyncKadr
    wish: Wish
    form: Format
    bars: Bars
    told: Callable[[Followed], None]

    async def run(self, jobs: Sequence[Job]) -> None:
        """Do all of it, some files at a time."""
        waiting = iter(jobs)

        async def work() -> None:
            for job in waiting:
                self.told(await self._detect(job))

        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, len(jobs))):
                group.create_task(work())

    async def _detect(self, job: Job) -> Followed:
        followed = await upload(self.kadr, job.file, self.wish, self.bars)
        try:
            ended = await follow(self.kadr, followed)
        except BaseException:
            await self._cancel(followed)
            raise
        if ended.video is None or not ended.is_ready:
            return ended
        try:
            await self.kadr.export(ended.video.id, job.target, format=self.form)
        except KadrError as error:  # one result that cannot be had does not stop the others
            return replace(ended, refusal=str(error))
        return replace(ended, written=job.target)

    async def _cancel(self, followed: Followed) -> None:
        """Cancel what nobody waits for any more, as far as Kadr answers soon."""
        if followed.video is not None:
            with contextlib.suppress(KadrError, TimeoutError):
                async with asyncio.timeout(CANCEL_WITHIN):
                    await self.kadr.cancel(followed.video.id)


def _first(several: BaseExceptionGroup[BaseException]) -> BaseException:
    first = several.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
