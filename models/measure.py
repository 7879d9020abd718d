"""Measure the demo model the way the service uses it, on clips it has never seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from app.decoding.picture import encode_jpeg, preprocess, shrink
from models.score import Score, score
from models.shapes import NAMES, Picture, write_clip

INPUT_SIDE = 640
"""Pixels of the longest side at use; written into the weights."""

HELD_OUT = [(seed, size) for size in ((512, 288), (640, 360), (960, 540)) for seed in range(900_001, 900_007)]
"""Seeds and sizes of the clips that measure the model; training draws from another seed."""

Predict = Callable[[Picture], list[dict[str, Any]]]
"""From a preprocessed picture to its objects as in the result document."""


def load_predictor(model: Path) -> Predict:
    """Load weights or an exported folder."""
    from ultralytics import YOLO  # noqa: PLC0415  # heavy, and reads its environment when imported

    yolo = YOLO(str(model), task="detect")

    def predict(picture: Picture) -> list[dict[str, Any]]:
        boxes = yolo.predict(
            picture, conf=0.25, iou=0.45, imgsz=INPUT_SIDE, device="cpu", rect=True, verbose=False
        )[0].boxes.data.tolist()
        return [{"class": NAMES[int(number)], "box": box, "conf": conf} for *box, conf, number in boxes]

    return predict


def evaluate(predict: Predict, *, folder: Path) -> Score:
    """Measure a model on the held-out clips, every fifth frame, and print each clip's figures."""
    total = Score(found=0, missed=0, invented=0)
    for seed, size in HELD_OUT:
        clip = folder / "held-out.mp4"
        truths = write_clip(clip, seed=seed, size=size)
        one = score(truths, _predict_clip(clip, predict))
        print(f"  clip {seed} {size[0]}x{size[1]}: {one}", flush=True)
        total += one
    return total


def _predict_clip(clip: Path, predict: Predict) -> list[dict[str, Any]]:
    with av.open(str(clip)) as container:
        return [
            {"frame": number, "objects": _predict_frame(frame.to_ndarray(format="bgr24"), predict)}
            for number, frame in enumerate(container.decode(video=0))
            if number % 5 == 0
        ]


def _predict_frame(picture: Picture, predict: Predict) -> list[dict[str, Any]]:
    """Predict on the picture as it travels: preprocessed, shrunk, JPEG; boxes in pixels of the source."""
    sent = shrink(preprocess(picture), INPUT_SIDE)
    jpeg = np.frombuffer(encode_jpeg(sent), np.uint8)
    gain = sent.shape[1] / picture.shape[1]
    objects = predict(np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8))
    return [{**found, "box": [edge / gain for edge in found["box"]]} for found in objects]
