"""A video is followed until it has ended: by events while they come, by looking while they do not."""

from collections.abc import Callable
from itertools import cycle
from typing import Final

import msgspec

from app.client.calls import get
from app.client.core import Core, path_of, require_success
from app.client.errors import NotFound, TookTooLong, Unreachable, Unreadable
from app.client.events import Event, EventReader, EventsTooLong
from app.client.steps import Close, Flow, Give, Items, Request, each_item, open_answer, read_piece, sleep
from app.client.videos import Progress, Video
from app.errors import RetryLater

LOOK_EVERY: Final = 1.0
"""Seconds between two looks where there are no events; as often as these would come."""

LISTEN_AGAIN: Final = 10.0
"""Seconds after which events are asked for again, when there were none."""

QUIET_FOR: Final = 15.0
"""Seconds after which Kadr says at least that there is no news."""


def events(core: Core, video_id: str, *, within: float | None = None) -> Items[Video]:
    """Give a video as it is now and whenever it has changed, the last time when it has ended.

    Kadr tells of progress once a second. Connections that break are made again, and while there are no
    events, the video is looked at.

    Args:
        video_id: which.
        within: seconds after which this is given up.

    Raises:
        NotFound: there is no such video, or not any more; or it is another key's.
        TookTooLong: it has not ended in time.
        Unreachable: Kadr was away for longer than this client is patient.
    """
    watch = _Watch(core, video_id, Deadline(core.clock, within))
    for follow in cycle((watch.listen, watch.look_on)):
        yield from follow()
        if watch.has_ended:
            return


def wait(
    core: Core,
    video_id: str,
    *,
    on_progress: Callable[[Video], object] | None = None,
    within: float | None = None,
) -> Flow[Video]:
    """Return a video once it is ready, has failed, or was cancelled; which of them, its `status` says.

    Args:
        video_id: which.
        on_progress: told of the video whenever it has changed.
        within: seconds after which this is given up.

    Raises:
        NotFound: there is no such video, or not any more; or it is another key's.
        TookTooLong: it has not ended in time.
        Unreachable: Kadr was away for longer than this client is patient.
    """
    seen: list[Video] = []

    def note(video: Video) -> None:
        seen[:] = [video]
        if on_progress is not None:
            on_progress(video)

    yield from each_item(events(core, video_id, within=within), note)
    return seen[0]


class Deadline:
    """When something is given up.

    Args:
        clock: seconds.
        within: seconds from now; None for never.
    """

    def __init__(self, clock: Callable[[], float], within: float | None) -> None:
        self._clock = clock
        self._within = within
        self._began = clock()

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return float("inf") if self._within is None else self._began + self._within - self._clock()

    def check(self, what: str) -> None:
        """Return while there is time.

        Raises:
            TookTooLong: there is none left.
        """
        if self.left <= 0:
            raise TookTooLong(what, self._within or 0.0)


class _Watch:
    """One video that is followed.

    Attributes:
        has_ended: whether it has.
    """

    def __init__(self, core: Core, video_id: str, deadline: Deadline) -> None:
        self._core = core
        self._id = video_id
        self._deadline = deadline
        self._seen: Video | None = None
        self._answered_at = core.clock()
        self.has_ended = False

    def listen(self) -> Items[Video]:
        """Give what Kadr tells, until the video has ended or nothing is told any more."""
        if self._deadline.left < QUIET_FOR:
            return  # a quiet stream would hold us for longer
        try:
            request = Request(method="GET", path=path_of(self._id, "events"))
            require_success((yield from open_answer(request)))
            reader = EventReader()
            while piece := (yield from read_piece()):
                for event in reader.read(piece):
                    yield from self._take(event)
                if self.has_ended:
                    yield Close()
                    return
                self._deadline.check(f"the end of the video {self._id}")
        except EventsTooLong as error:
            raise Unreadable("the events", error) from error
        except (RetryLater, NotFound):
            # Too many listen, or Kadr is away: whether the video is still there, a look tells.
            self._deadline.check(f"the end of the video {self._id}")

    def look_on(self) -> Items[Video]:
        """Give what looks tell, for a while or until the video has ended."""
        until = self._core.clock() + LISTEN_AGAIN
        while True:
            yield from self._look()
            if self.has_ended or self._core.clock() >= until:
                return
            self._deadline.check(f"the end of the video {self._id}")
            yield from sleep(min(LOOK_EVERY, self._deadline.left))

    def _look(self) -> Items[Video]:
        try:
            video = yield from get(self._core, self._id)
        except RetryLater:
            if self._core.clock() - self._answered_at > self._core.retries.patience:
                raise
            return
        yield from self._tell(video)

    def _take(self, event: Event) -> Items[Video]:
        if event.name == "deleted":
            yield from get(self._core, self._id)  # raises what the video's absence is
            raise Unreachable("Kadr", "it says that a video is deleted which is there")
        try:
            if event.name == "progress" and self._seen is not None:
                progress = msgspec.json.decode(event.data, type=Progress)
                yield from self._tell(msgspec.structs.replace(self._seen, progress=progress))
            elif event.name in {"status", "end"}:
                yield from self._tell(msgspec.json.decode(event.data, type=Video))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Unreadable("an event", error) from error

    def _tell(self, video: Video) -> Items[Video]:
        self._answered_at = self._core.clock()
        is_new = video != self._seen
        self._seen = video
        self.has_ended = video.has_ended
        if is_new:
            yield Give(video)
