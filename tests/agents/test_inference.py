"""What was found in a batch is told once per video; a frame that cannot be looked at is told too."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from agents.inference import attach, publish, publish_unreadable
from app.delivery import Route
from app.domain.messages import FrameResult, FrameSampled, FramesDetected, decode, encode
from app.errors import Malformed, Rejected
from app.settings import Settings
from app.topics import INFERENCE_RESULTS, INFERENCE_TASKS, STRIDE_HEADER, Contract
from tests.support.examples import MODEL, frame_sampled
from tests.support.streams import KeptPublisher, delivered, event

CRASHED = Rejected("worker_crashed", "it crashed three times")


class HeldDetector:
    """Finds nothing, and not before it is told to look."""

    facts = MODEL

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[asyncio.Event] = asyncio.Queue()

    async def detect(self, tasks: Sequence[FrameSampled]) -> list[FrameResult]:
        for _ in tasks:
            self._waiting.put_nowait(looked := asyncio.Event())
        await looked.wait()
        return [FrameResult(task.frame, task.time) for task in tasks]

    async def look(self, *, frames: int) -> None:
        """Look at the next frames, and let everybody go on as far as they can."""
        for _ in range(frames):
            (await self._waiting.get()).set()
        for _ in range(10):
            await asyncio.sleep(0)


class ForgetfulDetector(HeldDetector):
    """Says nothing of the last frame."""

    async def detect(self, tasks: Sequence[FrameSampled]) -> list[FrameResult]:
        return (await super().detect(tasks))[:-1]


@dataclass
class StandInWorker:
    """What the stage uses of a worker; its broker has everything at once."""

    settings: Settings
    clients: "StandInWorker" = field(init=False)
    detector: HeldDetector = field(default_factory=HeldDetector)
    sent: list[bytes] = field(default_factory=list)
    route: Route[FrameSampled] = field(init=False)

    def __post_init__(self) -> None:
        self.clients = self

    def stream_topic(self, _contract: Contract[Any]) -> "StandInWorker":
        return self

    async def send(self, *, key: bytes, value: bytes, headers: object) -> asyncio.Future[None]:  # noqa: ARG002
        self.sent.append(value)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def deliver(self, _name: str, route: Route[FrameSampled], *, up_to: int, in_flight: int) -> None:  # noqa: ARG002
        self.route = route


@pytest.fixture
def worker() -> StandInWorker:
    return StandInWorker(Settings())


@pytest.fixture
def publisher() -> KeptPublisher:
    return KeptPublisher()


async def test_one_message_tells_of_all_frames_of_a_video(publisher: KeptPublisher) -> None:
    tasks = [frame_sampled("a", 0), frame_sampled("b", 5), frame_sampled("a", 5)]
    await publish(publisher, MODEL, [(task, FrameResult(task.frame, task.time)) for task in tasks])
    told = publisher.of(INFERENCE_RESULTS)
    assert [(each.video_id, [frame.frame for frame in each.frames]) for each in told] == [
        ("a", [0, 5]),
        ("b", [5]),
    ]
    assert {key for _, key, _ in publisher.published} == {"a", "b"}
    assert {each.model for each in told} == {MODEL}


async def test_videos_of_another_stride_are_told_apart(publisher: KeptPublisher) -> None:
    await publish(publisher, MODEL, [(frame_sampled("a", 0, vid_stride=2), FrameResult(0, 0.0))])
    assert publisher.of(INFERENCE_RESULTS)[0].vid_stride == 2


async def test_batches_that_are_looked_at_together_are_told_in_one_message(worker: StandInWorker) -> None:
    attach(worker)  # type: ignore[arg-type]  # what it uses of one
    first, second = (
        delivered(INFERENCE_TASKS, frame_sampled("a", 0)),
        delivered(INFERENCE_TASKS, frame_sampled("a", 5)),
    )
    looking = [asyncio.ensure_future(worker.route.handle(batch)) for batch in (first, second)]
    await worker.clients.detector.look(frames=1)
    assert worker.sent == []
    await worker.clients.detector.look(frames=1)
    await asyncio.wait_for(asyncio.gather(*looking), 1)
    (told,) = [decode(value, FramesDetected) for value in worker.sent]
    assert [each.frame for each in told.frames] == [0, 5]


async def test_no_more_frames_than_a_batch_are_told_in_one_message(worker: StandInWorker) -> None:
    attach(worker)  # type: ignore[arg-type]  # what it uses of one
    tasks = [frame_sampled("a", 5 * each) for each in range(worker.settings.batch_size + 1)]
    looking = [
        asyncio.ensure_future(worker.route.handle(delivered(INFERENCE_TASKS, *some)))
        for some in (tasks[:1], tasks[1:])
    ]
    await worker.clients.detector.look(frames=len(tasks))
    await asyncio.wait_for(asyncio.gather(*looking), 1)
    assert [len(decode(value, FramesDetected).frames) for value in worker.sent] == [
        1,
        worker.settings.batch_size,
    ]


async def test_a_result_for_each_task_is_insisted_on(worker: StandInWorker) -> None:
    worker.detector = ForgetfulDetector()
    attach(worker)  # type: ignore[arg-type]  # what it uses of one
    looking = asyncio.ensure_future(
        worker.route.handle(delivered(INFERENCE_TASKS, frame_sampled("a", 0), frame_sampled("a", 5)))
    )
    await worker.clients.detector.look(frames=2)
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        await asyncio.wait_for(looking, 1)
    assert worker.sent == []


async def test_a_task_that_cannot_be_read_counts_as_an_error_of_its_frame(publisher: KeptPublisher) -> None:
    broken = event(INFERENCE_TASKS, b"{", key=b"a/2/35", headers={STRIDE_HEADER: b"7"})
    await publish_unreadable(publisher, MODEL, broken, CRASHED)
    (told,) = publisher.of(INFERENCE_RESULTS)
    assert (told.video_id, told.attempt, told.vid_stride) == ("a", 2, 7)
    assert told.frames == [FrameResult(35, error=told.frames[0].error)]
    assert decode(encode(told), type(told)) == told


@pytest.mark.parametrize("key", [None, b"", b"a", b"a/1", b"a/1/x", b"a/1/2/3", b"\xff/1/2"])
async def test_a_task_whose_key_names_no_frame_is_told_to_nobody(
    publisher: KeptPublisher, key: bytes | None
) -> None:
    await publish_unreadable(publisher, MODEL, event(INFERENCE_TASKS, b"{", key=key), Malformed("task", "?"))
    assert publisher.published == []


async def test_a_header_that_is_no_number_stops_nothing(publisher: KeptPublisher) -> None:
    broken = event(INFERENCE_TASKS, b"{", key=b"a/1/5", headers={STRIDE_HEADER: b"five"})
    await publish_unreadable(publisher, MODEL, broken, CRASHED)
    assert publisher.published == []
