"""The commands about videos: submit them, see how far they are, stop them, try them again, forget them."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.addresses import open_kadr
from app.cli.arguments import (
    Api,
    AsJson,
    Bucket,
    Files,
    Tags,
    VideoId,
    VideoIds,
    Webhook,
    Within,
    with_options,
)
from app.cli.exits import EXIT_FAILED, exit_code_of, say, sentence_of
from app.cli.written import write_json, write_lines
from app.client.videos import STATUSES, Options, Video
from app.errors import KadrError

if TYPE_CHECKING:
    from app.cli.following import Followed
    from app.client import Kadr

video_app = typer.Typer()


@video_app.command()
@with_options
def submit(
    files: Files,
    *,
    options: Options,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until each is ready or has failed.")] = False,
    bucket: Bucket = None,
    tags: Tags = None,
    webhook: Webhook = None,
    as_json: AsJson = False,
    api: Api = None,
) -> None:
    """Upload videos.

    What is refused because Kadr has too much to do is sent again for a minute.
    """
    from app.cli.following import Wish
    from app.cli.submitting import submit_all
    from app.cli.terminal import create_notes

    for file in files:
        file.open("rb").close()
    wish = Wish(options, bucket, tags or [], webhook)
    told = Told(as_json=as_json)
    submit_all(files, wish, wait=wait, api=api, notes=create_notes(), told=told.tell)
    told.end()


@video_app.command()
def status(
    video_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="One video; else the newest.")
    ] = None,
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many of the newest.")] = 20,
    as_json: AsJson = False,
    api: Api = None,
) -> None:
    """Show how far videos are, in a word or a sentence. `ls` and `show` say more."""
    from app.cli.tables import list_operations
    from app.cli.terminal import create_notes, create_output

    with open_kadr(api) as kadr:
        if video_id is not None:
            video = kadr.get(video_id)
            write_json(video) if as_json else typer.echo(_status_line(video))
            return
        found = kadr.statuses(limit=limit)
    if as_json:
        write_json(found)
        return
    if found.operations:
        create_output().print(list_operations(found.operations))
    create_notes().print(f"{len(found.operations)} of {found.total} videos, newest first")


@video_app.command()
def ls(
    *,
    status: Annotated[
        list[str] | None,
        typer.Option(metavar="|".join(STATUSES), help="Only in this state; may be repeated."),
    ] = None,
    tags: Annotated[
        list[str] | None, typer.Option("--tag", metavar="WORD", help="Only with it; may be repeated.")
    ] = None,
    after: Annotated[datetime | None, typer.Option(help="Only those accepted later.")] = None,
    before: Annotated[datetime | None, typer.Option(help="Only those accepted earlier.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many of the newest; 0 is all.")] = 20,
    as_json: AsJson = False,
    api: Api = None,
) -> None:
    """List videos, newest first."""
    from itertools import islice

    wanted = [each for each in STATUSES if each in (status or ())]
    if unknown := set(status or ()) - set(wanted):
        raise typer.BadParameter(f"there is no status {min(unknown)}: it is one of {', '.join(STATUSES)}")
    from app.cli.tables import list_videos
    from app.cli.terminal import create_notes, create_output

    with open_kadr(api) as kadr:
        found = kadr.list(
            status=wanted,
            tags=tags or (),
            created_after=after,
            created_before=before,
            page=min(limit or 200, 200),
        )
        chosen = islice(found, limit or None)
        if as_json:
            write_lines(chosen)
            return
        videos = list(chosen)
    if videos:
        create_output().print(list_videos(videos))
    create_notes().print(f"{len(videos)} video{'' if len(videos) == 1 else 's'}, newest first")


@video_app.command()
def show(video_id: VideoId, *, as_json: AsJson = False, api: Api = None) -> None:
    """Show everything that is known of a video: how far it is, when it got there, its options."""
    from app.cli.tables import show_video
    from app.cli.terminal import create_output

    with open_kadr(api) as kadr:
        video = kadr.get(video_id)
    write_json(video) if as_json else create_output().print(show_video(video))


@video_app.command()
def watch(video_ids: VideoIds, *, within: Within = None, as_json: AsJson = False, api: Api = None) -> None:
    """Follow videos until each has ended; fails if one of them did.

    As JSON, a line whenever something has changed.
    """
    from app.cli.terminal import create_notes
    from app.cli.watching import watch_all

    ended = watch_all(video_ids, within=within, as_json=as_json, api=api, notes=create_notes())
    for video in () if as_json else ended:
        typer.echo(_line(video))
    if any(video.status != "ready" for video in ended):
        raise typer.Exit(EXIT_FAILED)


@video_app.command()
def cancel(video_ids: VideoIds, *, as_json: AsJson = False, api: Api = None) -> None:
    """Stop videos, however far they are; their files stay."""
    _each(video_ids, lambda kadr, video_id: kadr.cancel(video_id), as_json=as_json, api=api)


@video_app.command()
def retry(video_ids: VideoIds, *, as_json: AsJson = False, api: Api = None) -> None:
    """Begin another attempt at videos that failed or were cancelled."""
    _each(video_ids, lambda kadr, video_id: kadr.retry(video_id), as_json=as_json, api=api)


@video_app.command()
def rm(video_ids: VideoIds, *, as_json: AsJson = False, api: Api = None) -> None:
    """Delete videos, however far they are, with their files and results."""
    _each(video_ids, lambda kadr, video_id: kadr.delete(video_id), as_json=as_json, api=api)


class Told:
    """Tells what came of files, and fails the command if there was a failure among them.

    Args:
        as_json: whether as JSON.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._has_failed = False

    def tell(self, followed: "Followed") -> None:
        """Say what came of a file."""
        self._has_failed = self._has_failed or followed.has_failed
        write_json(followed.facts) if self._as_json else typer.echo(followed.line)

    def end(self) -> None:
        """Return if nothing has failed.

        Raises:
            Exit: something has.
        """
        if self._has_failed:
            raise typer.Exit(EXIT_FAILED)


def _each(
    video_ids: list[str], do: Callable[["Kadr", str], Video | None], *, as_json: bool, api: str | None
) -> None:
    """Do something with each video, whatever became of the ones before; fail as the first failure does."""
    exit_code = 0
    with open_kadr(api) as kadr:
        for video_id in video_ids:
            try:
                video = do(kadr, video_id)
            except KadrError as error:
                code = say(f"{video_id}: {sentence_of(error)}", exit_code=exit_code_of(error))
                exit_code = exit_code or code
                continue
            word = video.status if video else "deleted"
            facts: Any = video or {"id": video_id, "status": word}
            write_json(facts) if as_json else typer.echo(f"{video_id}  {word}")
    if exit_code:
        raise typer.Exit(exit_code)


def _line(video: Video) -> str:
    from app.cli.wording import reason_of

    return f"{video.id}  {video.status}  {reason_of(video)}".rstrip()


def _status_line(video: Video) -> str:
    from app.cli.wording import WORDS, progress_of, reason_of

    word = WORDS[video.status]
    said = reason_of(video) if word == "failed" else progress_of(video) if word == "sent" else ""
    return f"{video.id}  {word}  {said}".rstrip()
