"""Files are submitted, and waited for if that is wanted."""

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from app.cli.addresses import open_async_kadr
from app.cli.bars import Bars, open_bars
from app.cli.following import Followed, Wish, follow_all, upload
from app.local.interrupts import run_interruptible


def submit_all(
    files: Sequence[Path],
    wish: Wish,
    *,
    wait: bool,
    api: str | None,
    notes: Console,
    told: Callable[[Followed], None],
) -> None:
    """Upload files, one after the other.

    Args:
        files: videos.
        wish: how they are looked at.
        wait: whether each is waited for.
        api: where Kadr is, if the command line says so.
        notes: where progress is shown.
        told: of each file, once there is nothing more to do about it.

    Raises:
        RetryLater: Kadr does not answer, or has too much to do.
        OSError: a file cannot be read.
    """
    untold: dict[str, Followed] = {}

    def tell(followed: Followed) -> None:
        untold.pop(_name(followed), None)
        told(followed)

    async def run(bars: Bars) -> None:
        async with open_async_kadr(api) as kadr:
            for file in files:
                followed = await upload(kadr, file, wish, bars)
                untold[_name(followed)] = followed
                if not wait:
                    tell(followed)
            async for each in follow_all(kadr, list(untold.values())):
                tell(each)

    with open_bars(notes, len(files)) as bars:
        try:
            run_interruptible(run(bars))
        finally:
            for each in untold.values():  # whoever interrupts us, or is left alone, shall know the ids
                told(each)


def _name(followed: Followed) -> str:
    return followed.video.id if followed.video else str(followed.file)
