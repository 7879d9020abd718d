"""Videos are watched until each has ended."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from rich.console import Console

from app.cli.addresses import open_async_kadr
from app.cli.bars import open_bars
from app.cli.following import AT_ONCE, count
from app.cli.written import write_json
from app.client.videos import Video
from app.errors import KadrError


def watch_all(
    video_ids: Sequence[str], *, within: float | None, as_json: bool, api: str | None, notes: Console
) -> list[Video]:
    """Return videos once each has ended.

    Args:
        video_ids: which.
        within: seconds for each; None for ever.
        as_json: whether each change is written as JSON.
        api: where Kadr is, if the command line says so.
        notes: where progress is shown.

    Raises:
        NotFound: one of them is not there.
        TookTooLong: one of them did not end in time.
    """

    async def run() -> list[Video]:
        places = asyncio.Semaphore(AT_ONCE)
        with open_bars(notes, len(video_ids)) as bars:
            async with open_async_kadr(api) as kadr, asyncio.TaskGroup() as group:

                async def watch(video_id: str) -> Video:
                    async with places:
                        first = await kadr.get(video_id)
                        bar = bars.add(first.filename or video_id)

                        def note(video: Video) -> None:
                            bar.show(video)
                            if as_json:
                                write_json(video)

                        video = await kadr.wait(video_id, on_progress=note, within=within)
                        frames = None
                        if video.status == "ready":
                            with suppress(KadrError):  # it is ready all the same
                                frames, _ = await count(kadr, video_id)
                        bar.end(frames, video.status)
                        return video

                tasks = [group.create_task(watch(each)) for each in video_ids]
        return [task.result() for task in tasks]

    try:
        return asyncio.run(run())
    except ExceptionGroup as several:
        raise several.exceptions[0] from several
