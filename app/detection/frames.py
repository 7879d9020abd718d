"""From tasks to results: decode the picture, ask the model, say where it is in the source frame.

Two ways, for two kinds of models. Both keep the event loop free: everything here blocks in threads, and
decoding a JPEG, scaling it and running the model all release the GIL.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Protocol

from app.detection.boxes import Boxes, to_source
from app.detection.pictures import Pixels, read_picture
from app.domain.messages import Detection, Failure, FrameResult, FrameSampled, ModelFacts, Options
from app.errors import Undecodable


class OneByOne(Protocol):
    """A model that several threads may ask about one picture each."""

    backend: str
    names: tuple[str, ...]

    def detect_one(self, picture: Pixels, *, conf: float, iou: float, max_det: int) -> Boxes:
        """Return what is in a picture, in its pixels."""
        ...


class Batched(Protocol):
    """A model that one thread at a time asks about several pictures of one shape."""

    backend: str
    names: tuple[str, ...]

    def detect_batch(self, pictures: Sequence[Pixels], options: Options) -> list[Boxes]:
        """Return what is in each picture, in its pixels."""
        ...


class ParallelDetector:
    """Takes each frame through decoding and the model in one thread, several frames at once."""

    def __init__(self, model: OneByOne, facts: ModelFacts, threads: Executor) -> None:
        self.facts = facts
        self.names = model.names
        self._model = model
        self._threads = threads

    async def detect(self, tasks: Sequence[FrameSampled]) -> list[FrameResult]:
        """Return what is in each frame, in the order of the tasks."""
        loop = asyncio.get_running_loop()
        looks = (loop.run_in_executor(self._threads, self._look_at, task) for task in tasks)
        return list(await asyncio.gather(*looks))

    def _look_at(self, task: FrameSampled) -> FrameResult:
        picture = _read(task)
        if isinstance(picture, Undecodable):
            return _failed(task, picture)
        asked = task.options
        boxes = self._model.detect_one(picture, conf=asked.conf, iou=asked.iou, max_det=asked.max_det)
        return _found(task, picture, boxes, self.names)


class BatchDetector:
    """Decodes in threads, then gives the model frames of one shape and one set of options together."""

    def __init__(self, model: Batched, facts: ModelFacts, threads: Executor) -> None:
        self.facts = facts
        self.names = model.names
        self._model = model
        self._threads = threads
        self._turn = asyncio.Lock()

    async def detect(self, tasks: Sequence[FrameSampled]) -> list[FrameResult]:
        """Return what is in each frame, in the order of the tasks."""
        loop = asyncio.get_running_loop()
        reads = (loop.run_in_executor(self._threads, _read, task) for task in tasks)
        pictures = await asyncio.gather(*reads)
        async with self._turn:
            return await loop.run_in_executor(self._threads, self._look_at, tasks, pictures)

    def _look_at(
        self, tasks: Sequence[FrameSampled], pictures: Sequence[Pixels | Undecodable]
    ) -> list[FrameResult]:
        results: dict[int, FrameResult] = {}
        alike: dict[tuple[tuple[int, ...], Options], list[tuple[int, Pixels]]] = defaultdict(list)
        for index, (task, picture) in enumerate(zip(tasks, pictures, strict=True)):
            if isinstance(picture, Undecodable):
                results[index] = _failed(task, picture)
            else:
                alike[picture.shape, task.options].append((index, picture))
        for (_, options), group in alike.items():
            found = self._model.detect_batch([picture for _, picture in group], options)
            for (index, picture), boxes in zip(group, found, strict=True):
                results[index] = _found(tasks[index], picture, boxes, self.names)
        return [results[index] for index in range(len(tasks))]


def _read(task: FrameSampled) -> Pixels | Undecodable:
    """Return the picture, or why there is none: one bad picture is not its neighbours' error."""
    try:
        return read_picture(task.image)
    except Undecodable as error:
        return error


def _failed(task: FrameSampled, error: Undecodable) -> FrameResult:
    return FrameResult(task.frame, task.time, error=Failure(error.code, error.reason))


def _found(task: FrameSampled, picture: Pixels, boxes: Boxes, names: Sequence[str]) -> FrameResult:
    height, width = picture.shape[:2]
    corners = to_source(boxes.corners, picture=(height, width), source=(task.height, task.width))
    objects = [
        Detection(names[index], box, round(score, 4))
        for index, box, score in zip(boxes.classes.tolist(), corners, boxes.scores.tolist(), strict=True)
    ]
    return FrameResult(task.frame, task.time, objects)
