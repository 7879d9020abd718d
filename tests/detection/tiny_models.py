"""Tiny models with random weights: trained for nothing, but every number is as in a real one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from app.detection.pictures import Pixels
from app.domain.messages import FrameSampled

TaskOf = Callable[..., FrameSampled]

NAMES = {0: "circle", 1: "square", 2: "triangle"}

CONVOLUTIONS = [
    [-1, 1, "Conv", [32, 3, 2]],
    [-1, 1, "Conv", [64, 3, 2]],
    [-1, 1, "Conv", [128, 3, 2]],
    [-1, 1, "Conv", [128, 3, 2]],
    [-1, 1, "Conv", [128, 3, 2]],
]


def blobs(seed: int, height: int, width: int) -> Pixels:
    """Return a picture with structure at several scales; the same for the same seed."""
    random = np.random.default_rng(seed)
    layers = [
        cv2.resize(random.random((max(height // step, 1), max(width // step, 1), 3)), (width, height))
        for step in (4, 16, 64)
    ]
    return np.asarray(255 * np.mean(layers, axis=0), np.uint8)


def save_model(path: Path, head: str) -> Path:
    """Save a YOLO of five convolutions and this head, with random weights that find a lot."""
    import torch  # noqa: PLC0415  # heavy, and some tests do without
    from ultralytics import YOLO  # noqa: PLC0415  # reads its environment when imported

    torch.manual_seed(7)
    arguments = ["nc", 8, 32] if head == "Segment" else ["nc"]
    layers = [-1 if head == "Classify" else [2, 3, 4], 1, head, arguments]
    task = {"Segment": "segment", "Classify": "classify"}.get(head, "detect")
    plan = {"nc": len(NAMES), "backbone": CONVOLUTIONS, "head": [layers], "yaml_file": f"{path.stem}.yaml"}
    path.parent.mkdir(exist_ok=True)
    description = path.with_suffix(".yaml")
    description.write_text(yaml.safe_dump(plan))
    model = YOLO(str(description), task=task)
    model.model.names = NAMES
    spread(model.model)
    model.save(str(path))
    return path


def spread(model: Any) -> None:  # noqa: ANN401  # a vendor's object
    """Make scores and box sizes spread over their whole range."""
    import torch  # noqa: PLC0415  # heavy, and some tests do without

    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
    pictures = np.stack([blobs(seed, 320, 320) for seed in range(4)])
    # Without statistics of real pictures, normalising layers let nothing but noise through.
    with torch.no_grad():
        model.train()(torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255)
    for name in ("cv2", "cv3", "one2one_cv2", "one2one_cv3"):
        for branch in getattr(model.model[-1], name, ()):
            # Scores that come near 1 would be equal in f32, and the order among equals is anybody's.
            branch[-1].weight.data.mul_(2.0 if name.endswith("cv3") else 8.0)
            branch[-1].bias.data.fill_(-2.0 if name.endswith("cv3") else 0.0)
    model.eval()
