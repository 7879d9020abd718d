"""From tasks to results: decode the picture, ask the model, say where it is in the source frame.

Two ways, for two kinds of models. Both keep the event loop free: everything here blocks in threads, and
decoding a JPEG, scaling it and running the model all release the GIL.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import NamedTuple, Protocol

from app.detection.boxes import Boxes, to_source
from app.detection.pictures import Pixels, read_picture
from app.detection.wanted import Wanted, wanted_of
from app.domain.messages import Detection, Failure, FrameResult, FrameSampled, ModelFacts
from app.errors import Rejected


class _Question(NamedTuple):
    picture: Pixels
    wanted: Wanted


class OneByOne(Protocol):
    """A model that several threads may ask about one picture each."""

    backend: str
    names: tuple[str, ...]

    def detect_one(self, picture: Pixels, wanted: Wanted) -> Boxes:
        """Return what is in a picture, in its pixels.

        Raises:
            Rejected: `unsupported_size`, it cannot look at pictures of this shape and size.
        """
        ...


class Batched(Protocol):
    """A model that one thread at a time asks about several pictures of one shape."""

    backend: str
    names: tuple[str, ...]

    def detect_batch(self, pictures: Sequence[Pixels], wanted: Wanted) -> list[Boxes | Rejected]:
        """Return what is in each picture, in its pixels, or why it cannot be looked at."""
        ...


class ParallelDetector:
    """Takes each frame through decoding and the model in one thread, several frames at once.

    Args:
        model: who is asked.
        facts: of the model.
        threads: in which it is asked.
        imgsz: the operator's.
    """

    def __init__(self, model: OneByOne, facts: ModelFacts, threads: Executor, imgsz: int) -> None:
        self.facts = facts
        self.names = model.names
        self._model = model
        self._threads = threads
        self._imgsz = imgsz

    async def detect(self, tasks: Sequence[FrameSampled]) -> list[FrameResult]:
        """Return what is in each frame, in the order of the tasks."""
        loop = asyncio.get_running_loop()
        looks = (loop.run_in_executor(self._threads, self._look_at, task) for task in tasks)
        return list(await asyncio.gather(*looks))

    def _look_at(self, task: FrameSampled) -> FrameResult:
        asked = _read(task, self.names, self._imgsz)
        if isinstance(asked, Rejected):
            return _failed(task, asked)
        try:
            boxes = self._model.detect_one(asked.picture, asked.wanted)
        except Rejected as error:
            return _failed(task, error)
        return _found(task, asked.picture, boxes, self.names)


class BatchDetector:
    """Decodes in threads, then gives the model frames of one shape of which the same is wanted together.

    Args:
        model: who is asked.
        facts: of the model.
        imgsz: the operator's.
        decoding: threads that decode.
        asking: the one thread that asks the model.
    """

    def __init__(
        self, model: Batched, facts: ModelFacts, imgsz: int, *, decoding: Executor, asking: Executor
    ) -> None:
        self.facts = facts
        self.names = model.names
        self._model = model
        self._imgsz = imgsz
        self._decoding = decoding
        self._asking = asking

    async def detect(self, tasks: Sequence[FrameSampled]) -> list[FrameResult]:
        """Return what is in each frame, in the order of the tasks."""
        loop = asyncio.get_running_loop()
        reads = (loop.run_in_executor(self._decoding, _read, task, self.names, self._imgsz) for task in tasks)
        asked = await asyncio.gather(*reads)
        return await loop.run_in_executor(self._asking, self._look_at, tasks, asked)

    def _look_at(
        self, tasks: Sequence[FrameSampled], questions: Sequence[_Question | Rejected]
    ) -> list[FrameResult]:
        results: dict[int, FrameResult] = {}
        alike: dict[tuple[tuple[int, ...], Wanted], list[tuple[int, Pixels]]] = defaultdict(list)
        for index, (task, asked) in enumerate(zip(tasks, questions, strict=True)):
            if isinstance(asked, Rejected):
                results[index] = _failed(task, asked)
            else:
                alike[asked.picture.shape, asked.wanted].append((index, asked.picture))
        for (_, wanted), group in alike.items():
            found = self._model.detect_batch([picture for _, picture in group], wanted)
            for (index, picture), boxes in zip(group, found, strict=True):
                results[index] = (
                    _failed(tasks[index], boxes)
                    if isinstance(boxes, Rejected)
                    else _found(tasks[index], picture, boxes, self.names)
                )
        return [results[index] for index in range(len(tasks))]


def _read(task: FrameSampled, names: Sequence[str], imgsz: int) -> _Question | Rejected:
    """Return the picture and what is wanted of it, or why not: a bad one is not its neighbours' error."""
    try:
        return _Question(read_picture(task.image), wanted_of(task.options, names, imgsz))
    except Rejected as error:
        return error


def _failed(task: FrameSampled, error: Rejected) -> FrameResult:
    return FrameResult(task.frame, task.time, error=Failure(error.code, error.reason))


def _found(task: FrameSampled, picture: Pixels, boxes: Boxes, names: Sequence[str]) -> FrameResult:
    height, width = picture.shape[:2]
    corners = to_source(boxes.corners, picture=(height, width), source=(task.height, task.width))
    objects = [
        Detection(names[index], box, round(score, 4))
        for index, box, score in zip(boxes.classes.tolist(), corners, boxes.scores.tolist(), strict=True)
    ]
    return FrameResult(task.frame, task.time, objects)
