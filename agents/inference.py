"""The stage that finds the objects in each frame."""

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, Final, Protocol

from msgspec import UNSET

from app.delivery import Delivered, Route
from app.domain.messages import (
    Failure,
    FrameResult,
    FrameSampled,
    FramesDetected,
    ModelFacts,
)
from app.errors import Malformed, Rejected
from app.failpoints import failpoint
from app.linger import Linger
from app.publishing import Publisher
from app.telemetry.metrics import FRAMES_DETECTED, FRAMES_FAILED, OBJECTS_FOUND, known_code
from app.telemetry.stages import count_stage
from app.telemetry.windows import Windows
from app.topics import INFERENCE_RESULTS, INFERENCE_TASKS, STRIDE_HEADER
from app.worker import Worker

IN_FLIGHT: Final = 4
"""Batches handled at once: one is in the graph, one is being decoded, one is on its way to the broker, and a
small one waits to go with them."""

COMMIT_INTERVAL: Final = 0.1
"""Seconds between two commits. Back-pressure counts what is committed: twice as long let a worker have 320
frames a second at most, whatever its model could do."""


Look = tuple[FrameSampled, FrameResult]
"""What was asked for, and what was found."""


class Detector(Protocol):
    """Looks at frames."""

    @property
    def facts(self) -> ModelFacts:
        """Return which model looks."""

    async def detect(self, tasks: Sequence[FrameSampled]) -> list[FrameResult]:
        """Return what is in each frame, in the order of the tasks."""


class InferenceClients(Protocol):
    """What this stage needs."""

    @property
    def detector(self) -> Detector:
        """Return the detector."""


def attach(worker: Worker[InferenceClients]) -> None:
    """Let this worker find objects in frames."""
    publisher = Publisher({INFERENCE_RESULTS.name: worker.stream_topic(INFERENCE_RESULTS)})
    windows = Windows("detect", event="frames looked at")

    async def send(looks: Sequence[Look]) -> None:
        await publish(publisher, worker.clients.detector.facts, looks)

    linger = Linger(send, up_to=worker.settings.batch_size)

    async def detect_objects(batch: Sequence[Delivered[FrameSampled]]) -> None:
        """Find the objects in each frame."""
        tasks = [each.message for each in batch]
        began = time.time()
        with linger.making():
            results = await worker.clients.detector.detect(tasks)
        note_batch(windows, tasks, results, began=began, ended=time.time())
        await linger.put(list(zip(tasks, results, strict=True)))
        failpoint("inference.published", tasks[0].video_id)

    async def count_as_error(event: Any, reason: Rejected) -> None:  # noqa: ANN401 - Faust has no types
        await publish_unreadable(publisher, worker.clients.detector.facts, event, reason)

    worker.deliver(
        "inference",
        Route(INFERENCE_TASKS, detect_objects, count_as_error),
        up_to=worker.settings.batch_size,
        in_flight=IN_FLIGHT,
    )


def note_batch(
    windows: Windows,
    tasks: Sequence[FrameSampled],
    results: Sequence[FrameResult],
    *,
    began: float,
    ended: float,
) -> None:
    """Count what was looked at, once for the batch; times are seconds since 1970."""
    count_stage("detect", ended - began)
    FRAMES_DETECTED.inc(len(results))
    OBJECTS_FOUND.inc(sum(len(each.objects) for each in results))
    failed = [each.error.code for each in results if each.error is not UNSET]
    for code in failed:
        FRAMES_FAILED.labels(known_code(code)).inc()
    for video_id, frames in Counter(task.video_id for task in tasks).items():
        windows.add(video_id, began, ended, frames=frames)


async def publish(publisher: Publisher, model: ModelFacts, looks: Sequence[Look]) -> None:
    """Publish results, one message for each video among them: a third of the cost of one per frame."""
    by_video: dict[tuple[str, int, int], list[FrameResult]] = defaultdict(list)
    for task, result in looks:
        by_video[task.video_id, task.attempt, task.options.vid_stride].append(result)
    await publisher.publish_all(
        INFERENCE_RESULTS,
        [
            (video_id, FramesDetected(video_id, attempt, model, frames, vid_stride))
            for (video_id, attempt, vid_stride), frames in by_video.items()
        ],
    )


async def publish_unreadable(
    publisher: Publisher,
    model: ModelFacts,
    event: Any,  # noqa: ANN401 - Faust has no types
    reason: Rejected,
) -> None:
    """Publish the error of the frame that the task's key names, so that its video still ends.

    A key or header that names no frame belongs to no video of ours: then nothing waits for it.
    """
    headers = dict(event.message.headers or {})
    try:
        video_id, attempt, frame = _named_frame(event.message.key or b"")
        vid_stride = int(headers.get(STRIDE_HEADER, b"5"))
    except (Malformed, ValueError):
        return
    FRAMES_FAILED.labels(known_code(reason.code)).inc()
    result = FrameResult(frame, error=Failure(reason.code, reason.reason))
    message = FramesDetected(video_id, attempt, model, [result], vid_stride)
    await publisher.publish(INFERENCE_RESULTS, message, key=video_id)


def _named_frame(key: bytes) -> tuple[str, int, int]:
    try:
        video_id, attempt, frame = key.decode().split("/")
        return video_id, int(attempt), int(frame)
    except ValueError as error:
        raise Malformed("the key of a task", error) from error
