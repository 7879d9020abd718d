"""Progress bars for many files at once: a line for each that is on its way, and one for all of them."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from app.cli.wording import duration, progress_of
from app.client.videos import Video

MOST_SHOWN: Final = 20
"""Files whose lines stay when they are done; where there are more, only those on their way are shown."""

MOST_UNENDED: Final = 0.99
"""Of a file that has not ended yet: the clock of a line stops for good when it is full."""


class Bar:
    """The line of one file.

    Args:
        bars: all of them.
        task: its place there.
    """

    def __init__(self, bars: "Bars", task: TaskID) -> None:
        self._bars = bars
        self._task = task

    def sent(self, size: int | None) -> Callable[[int], None]:
        """Return what is told how many bytes of the file have left."""
        whole = "" if size is None else f" of {decimal(size)}"

        def on_sent(sent: int) -> None:
            self._bars.show(self._task, sent, size, f"uploading {decimal(sent)}{whole}", share=0.0)

        return on_sent

    def show(self, video: Video) -> None:
        """Show how far a video is."""
        found = video.progress
        done, total = (found.frames_done, found.frames_total) if found else (0, None)
        self._bars.show(self._task, done, total, progress_of(video), share=done / total if total else 0.0)

    def end(self, frames: int | None, said: str) -> None:
        """Show what came of it.

        Args:
            frames: that were looked at; None where there is no result.
            said: instead of a number of frames.
        """
        amount = said if frames is None else f"{frames} of {frames} frames"
        self._bars.end(self._task, frames or 0, amount)


class Bars:
    """The lines of all files. Open it with `open_bars`."""

    def __init__(self, progress: Progress, files: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._progress = progress
        self._files = files
        self._ended = 0
        self._shares: dict[TaskID, float] = {}
        self._clock = clock
        self._began = clock()
        self._all = progress.add_task(f"{files} files", total=files, amount="") if files > 1 else None

    def add(self, name: str) -> Bar:
        """Return a line for a file."""
        return Bar(self, self._progress.add_task(name, total=None, amount="uploading"))

    def show(self, task: TaskID, done: int, total: int | None, amount: str, *, share: float) -> None:
        """Show how far a file is.

        Args:
            task: the file's line.
            done: bytes, or frames.
            total: of these.
            amount: the same in words.
            share: of all that is to be done with the file; sending it counts for nothing.
        """
        self._progress.update(task, completed=done, total=total, amount=amount)
        self._shares[task] = min(MOST_UNENDED, share)
        self._show_all()

    def end(self, task: TaskID, frames: int, amount: str) -> None:
        """Show that a file is done."""
        self._progress.update(task, completed=frames, total=max(frames, 1), amount=amount)
        self._progress.stop_task(task)
        if self._files > MOST_SHOWN:
            self._progress.remove_task(task)
        self._shares.pop(task, None)
        self._ended += 1
        self._show_all()

    def _show_all(self) -> None:
        if self._all is None:
            return
        done = self._ended + sum(self._shares.values())
        left = seconds_left(self._clock() - self._began, done, self._files)
        said = "" if left is None or self._ended == self._files else f", {duration(left)} left"
        self._progress.update(self._all, completed=done, amount=f"{self._ended} of {self._files} files{said}")


def seconds_left(passed: float, done: float, total: int) -> float | None:
    """Return how long the rest will take, as long as it goes on like this; None before anything is done.

    Args:
        passed: seconds so far.
        done: files, and shares of files.
        total: files.
    """
    return passed * (total - done) / done if done > 0 else None


@contextmanager
def open_bars(console: Console, files: int) -> Iterator[Bars]:
    """Yield lines for so many files on this console."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[amount]}", markup=False),
        TimeElapsedColumn(),
    )
    # Lines that are printed meanwhile go above the bars; into a pipe they go as they are.
    with Progress(*columns, console=console, redirect_stdout=sys.stdout.isatty()) as progress:
        yield Bars(progress, files)
