"""How far Kadr's boxes are the model's own: Ultralytics on torch, on the same preprocessed pictures.

    python -m benchmarks.parity WEIGHTS VIDEO…            our detector against Ultralytics
    python -m benchmarks.parity WEIGHTS VIDEO RESULT.json a finished result against Ultralytics

It prints a row of a Markdown table for each video. The pictures are made here, apart from the
pipeline's own code, so that a mistake there shows.
"""

import asyncio
import base64
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import av
import cv2
import numpy as np

from app.detection.checkpoint import safe_environment
from app.detection.detector import open_detector
from app.detection.pictures import Pixels, read_picture
from app.domain.messages import FrameSampled
from app.settings import Settings

SIZE: Final = 640
CONF: Final = 0.25
IOU: Final = 0.45

LEAST_CONF: Final = 0.35
"""Boxes near the threshold of 0.25 may fall on either side of it; what is promised is promised above this."""

LEAST_OVERLAP: Final = 0.9
"""IoU from which two boxes are the same."""

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Found:
    """An object: its class's name, its box in whole pixels of the source, its confidence."""

    name: str
    box: Box
    conf: float


Frames = Mapping[int, Sequence[Found]]


@dataclass
class Agreement:
    """How two answers about the same frames agree.

    Attributes:
        frames: how many were compared.
        boxes: of the reference with at least `LEAST_CONF`.
        matched: of those, how many have a partner of their class with at least `LEAST_OVERLAP`.
        lost: boxes of the reference, of any confidence, without a partner.
        extra: boxes of ours, of any confidence, without a partner.
        pairs: partners.
        equal: partners whose whole-pixel boxes are the same.
        conf_differences: of partners, absolute.
    """

    frames: int = 0
    boxes: int = 0
    matched: int = 0
    lost: int = 0
    extra: int = 0
    pairs: int = 0
    equal: int = 0
    conf_differences: list[float] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Share of the reference's confident boxes that have a partner."""
        return self.matched / self.boxes if self.boxes else 1.0

    @property
    def row(self) -> str:
        """The figures as cells of a Markdown table."""
        largest = max(self.conf_differences, default=0.0)
        mean = float(np.mean(self.conf_differences)) if self.conf_differences else 0.0
        matched = f"{self.matched} of {self.boxes} | {self.share:.2%}"
        equal = f"{self.equal} of {self.pairs}"
        return (
            f"{self.frames} | {matched} | {self.lost} | {self.extra} | {equal} | {mean:.6f} | {largest:.6f}"
        )


def sample(video: Path, *, vid_stride: int = 5, limit: int | None = None) -> Iterator[FrameSampled]:
    """Yield every `vid_stride`-th frame as a task: blurred, contrasted, shrunk, JPEG."""
    taken = 0
    with av.open(str(video)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % vid_stride == 0:
                yield task_of(number, frame.to_ndarray(format="bgr24"))
                taken += 1
            if limit is not None and taken >= limit:
                return


def task_of(number: int, source: Pixels) -> FrameSampled:
    """Return the task of a source frame, preprocessed as the pipeline is specified."""
    height, width = source.shape[:2]
    picture = cv2.convertScaleAbs(cv2.GaussianBlur(source, (3, 3), 0), alpha=1.3, beta=5)
    gain = min(1.0, SIZE / max(height, width))
    if gain < 1:
        picture = cv2.resize(picture, (round(width * gain), round(height * gain)))
    quality = [cv2.IMWRITE_JPEG_QUALITY, 95]
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    jpeg = cv2.imencode(".jpg", picture, quality + sampling)[1].tobytes()
    image = base64.b64encode(jpeg).decode("ascii")
    return FrameSampled("parity", 1, number, float(number), width, height, image)


def reference(tasks: Iterable[FrameSampled], weights: Path, *, home: Path | None = None) -> Frames:
    """Return what Ultralytics' own predict on torch finds in the pictures of the tasks.

    Args:
        tasks: with their pictures.
        weights: of the model.
        home: where Ultralytics may keep its settings; None is the temporary folder.
    """
    os.environ.update(safe_environment(home or Path(tempfile.gettempdir()), offline=True))
    from ultralytics import YOLO  # noqa: PLC0415  # reads its environment when imported

    model = YOLO(str(weights))
    answers: dict[int, list[Found]] = {}
    for task in tasks:
        picture = read_picture(task.image)
        found = model.predict(
            picture, conf=CONF, iou=IOU, imgsz=SIZE, rect=True, device="cpu", save=False, verbose=False
        )[0].boxes
        gain = np.array([task.width / picture.shape[1], task.height / picture.shape[0]] * 2)
        corners = np.rint(found.xyxy.numpy() * gain).astype(int).tolist()
        answers[task.frame] = [
            Found(model.names[int(index)], (box[0], box[1], box[2], box[3]), conf)
            for index, box, conf in zip(found.cls.tolist(), corners, found.conf.tolist(), strict=True)
        ]
    return answers


async def ours(tasks: Sequence[FrameSampled], settings: Settings) -> Frames:
    """Return what Kadr's detector finds in the pictures of the tasks."""
    async with open_detector(settings) as detector:
        results = await detector.detect(tasks)
    return {
        result.frame: [Found(one.class_, one.box, one.conf) for one in result.objects] for result in results
    }


def of_document(document: Mapping[str, Any]) -> Frames:
    """Return what a finished result says: the whole pipeline's answer."""
    return {
        frame["frame"]: [Found(one["class"], tuple(one["box"]), one["conf"]) for one in frame["objects"]]
        for frame in document["prediction"]
    }


def compare(answer: Frames, expected: Frames) -> Agreement:
    """Say how an answer agrees with the reference; a frame that only one of them knows has no partners."""
    agreement = Agreement(frames=len(expected.keys() | answer.keys()))
    for frame in sorted(expected.keys() | answer.keys()):
        _compare_frame(list(answer.get(frame, ())), expected.get(frame, ()), agreement)
    return agreement


def _compare_frame(left_over: list[Found], expected: Sequence[Found], agreement: Agreement) -> None:
    for wanted in sorted(expected, key=lambda found: -found.conf):
        confident = wanted.conf >= LEAST_CONF
        agreement.boxes += confident
        partners = [found for found in left_over if found.name == wanted.name]
        partner = max(partners, key=lambda found: overlap(found.box, wanted.box), default=None)
        if partner is None or overlap(partner.box, wanted.box) < LEAST_OVERLAP:
            agreement.lost += 1
            continue
        left_over.remove(partner)
        agreement.matched += confident
        agreement.pairs += 1
        agreement.equal += partner.box == wanted.box
        agreement.conf_differences.append(abs(partner.conf - wanted.conf))
    agreement.extra += len(left_over)


def overlap(one: Box, other: Box) -> float:
    """Return the intersection of two boxes over their union; 1 for the same box, even an empty one."""
    if one == other:
        return 1.0
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(across, 0) * max(down, 0)
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - shared
    return shared / union if union else 0.0


def main(weights: Path, *paths: Path) -> None:
    """Print a row for each video, or for one video and its result."""
    settings = Settings(model=str(weights), data_dir=Path(tempfile.gettempdir()) / "kadr-parity")
    documents = [path for path in paths if path.suffix == ".json"]
    for video in (path for path in paths if path.suffix != ".json"):
        tasks = list(sample(video))
        answer = of_document(json.loads(documents[0].read_bytes())) if documents else None
        agreement = compare(answer or asyncio.run(ours(tasks, settings)), reference(tasks, weights))
        sys.stdout.write(f"| {video.name} | {agreement.row} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
