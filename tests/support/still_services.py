"""Services of Kadr that say what they were told to say, and do nothing."""

from datetime import UTC, datetime

from app.clients.http.renderer import Renderer
from app.clients.http.runner_progress import RunnerAnswers, RunnerProgress
from app.clients.http.wake import Waker
from app.domain.renderings import FrameAsked, RenderingAsked, RenderingState
from app.errors import Unavailable


class MemoryRunner(RunnerAnswers):
    """Tells what it was told to tell.

    Attributes:
        is_away: while it is set, every call raises `Unavailable`.
        progress: by video.
        looks: how often each video was asked about.
    """

    def __init__(self) -> None:
        self.is_away = False
        self.progress: dict[str, RunnerProgress] = {}
        self.looks: dict[str, int] = {}

    async def progress_of(self, video_id: str) -> RunnerProgress | None:
        self.looks[video_id] = self.looks.get(video_id, 0) + 1
        if self.is_away:
            raise Unavailable("The runner", "the test took it away")
        return self.progress.get(video_id)


class SilentWaker(Waker):
    """Counts how often it was to knock."""

    def __init__(self) -> None:
        self.knocks = 0

    def wake(self) -> None:
        self.knocks += 1


class StillRenderer(Renderer):
    """A runner that makes nothing.

    Attributes:
        asked: what was asked for, in order.
        picture: what it answers for every frame.
        state: what it says of every rendering.
        error: what it raises instead, once it is set.
    """

    def __init__(self) -> None:
        self.asked: list[FrameAsked | RenderingAsked] = []
        self.picture = b"\xff\xd8picture"
        self.state = RenderingState("queued", datetime.max.replace(tzinfo=UTC))
        self.error: Exception | None = None

    async def frame(self, asked: FrameAsked) -> bytes:
        self._note(asked)
        return self.picture

    async def rendering(self, asked: RenderingAsked) -> RenderingState:
        self._note(asked)
        return self.state

    def _note(self, asked: FrameAsked | RenderingAsked) -> None:
        self.asked.append(asked)
        if self.error is not None:
            raise self.error
