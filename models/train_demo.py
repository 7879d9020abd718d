"""Train the demo model on drawn pictures and measure it on clips it has never seen."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from app.decoding.picture import preprocess
from models.measure import INPUT_SIDE, evaluate, load_predictor
from models.shapes import NAMES, Picture, Truth, draw_picture

SEED = 20260

SIDE = 320
"""Pixels of a training picture's side.

The network is convolutional: what it learns on a square cut at this size it knows at the 640 it is used
with, for a quarter of the work, as long as shapes are as large in the cut as they are in the whole.
"""

SOURCE_SIDES = (256, 320, 480)
"""Pixels drawn for `SIDE` pixels of training picture: clips of width 512, 640 and 960, brought to 640."""

FULL_COLOUR_QUALITY = 95
"""The JPEG quality from which no colour is left out (4:4:4)."""

CHECKED_PICTURES = 64
"""Ultralytics wants a validation set; the real measure is `evaluate`, so this one is small."""

ARCHITECTURE: dict[str, Any] = {
    "nc": len(NAMES),
    "depth_multiple": 0.33,
    "width_multiple": 0.125,
    "backbone": [
        [-1, 1, "Conv", [64, 3, 2]],
        [-1, 1, "Conv", [128, 3, 2]],
        [-1, 3, "C2f", [128, True]],
        [-1, 1, "Conv", [256, 3, 2]],
        [-1, 6, "C2f", [256, True]],
        [-1, 1, "Conv", [512, 3, 2]],
        [-1, 6, "C2f", [512, True]],
        [-1, 1, "Conv", [1024, 3, 2]],
        [-1, 3, "C2f", [1024, True]],
        [-1, 1, "SPPF", [1024, 5]],
    ],
    "head": [
        [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
        [[-1, 6], 1, "Concat", [1]],
        [-1, 3, "C2f", [512]],
        [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
        [[-1, 4], 1, "Concat", [1]],
        [-1, 3, "C2f", [256]],
        [-1, 1, "Conv", [256, 3, 2]],
        [[-1, 12], 1, "Concat", [1]],
        [-1, 3, "C2f", [512]],
        [-1, 1, "Conv", [512, 3, 2]],
        [[-1, 9], 1, "Concat", [1]],
        [-1, 3, "C2f", [1024]],
        [[15, 18, 21], 1, "Detect", ["nc"]],
    ],
}
"""YOLOv8 (Ultralytics, cfg/models/v8/yolov8.yaml) at an eighth of its full width, half of YOLOv8n's."""


def main() -> None:
    """Draw, train, write the weights, measure."""
    options = _read_arguments()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kadr-demo-model-") as name:
        folder = Path(name)
        _keep_ultralytics_to_itself(folder / "config")
        if not options.evaluate_only:
            data = write_training_set(folder / "pictures", pictures=options.pictures)
            last = train(data, folder=folder, epochs=options.epochs)
            save_weights(last, options.out)
            print(f"{options.out}: trained in {(time.monotonic() - started) / 60:.0f} minutes")
        print(f"PyTorch:  {evaluate(load_predictor(options.out), folder=folder)}")
        exported = export_openvino(options.out, folder=folder)
        print(f"OpenVINO: {evaluate(load_predictor(exported), folder=folder)}")


def write_training_set(folder: Path, *, pictures: int) -> Path:
    """Write preprocessed pictures and their labels in YOLO's layout; return the file that describes them."""
    rng = np.random.default_rng(SEED)
    for part, count in (("train", pictures), ("val", CHECKED_PICTURES)):
        (folder / "images" / part).mkdir(parents=True)
        (folder / "labels" / part).mkdir(parents=True)
        for number in range(count):
            picture, labels = _draw_example(rng)
            stem = f"{number:06d}"
            cv2.imwrite(
                str(folder / "images" / part / f"{stem}.png"), picture, [cv2.IMWRITE_PNG_COMPRESSION, 1]
            )
            (folder / "labels" / part / f"{stem}.txt").write_text(labels)
    description = folder / "data.yaml"
    names = dict(enumerate(NAMES))
    description.write_text(
        yaml.safe_dump({"path": str(folder), "train": "images/train", "val": "images/val", "names": names})
    )
    return description


def train(data: Path, *, folder: Path, epochs: int) -> Path:
    """Train from scratch and return the checkpoint of the last epoch."""
    from ultralytics import YOLO  # noqa: PLC0415  # heavy, and reads its environment when imported

    architecture = folder / "kadr-demo.yaml"
    architecture.write_text(yaml.safe_dump(ARCHITECTURE))
    model = YOLO(str(architecture), task="detect")
    model.train(
        data=str(data),
        epochs=epochs,
        imgsz=SIDE,
        batch=32,
        seed=SEED,
        deterministic=True,
        device="cpu",
        workers=1,
        optimizer="AdamW",
        lr0=0.003,
        lrf=0.01,
        cos_lr=True,
        warmup_epochs=1,
        # The generator varies size, place, turn and colour itself; only mirroring is free and true.
        fliplr=0.5,
        flipud=0.5,
        **dict.fromkeys(("mosaic", "scale", "translate", "hsv_h", "hsv_s", "hsv_v", "erasing"), 0.0),
        amp=False,
        val=False,
        plots=False,
        pretrained=False,
        project=str(folder / "runs"),
        name="demo",
    )
    return folder / "runs" / "demo" / "weights" / "last.pt"


def save_weights(checkpoint: Path, target: Path) -> None:
    """Write the weights alone: no optimizer, no trace of the machine, and the size they are used at."""
    import torch  # noqa: PLC0415  # heavy

    # Ultralytics stripped the optimizer when training ended; the paths and the state of the
    # checkout that it also records say nothing about the model.
    # Not restricted to known classes: `train` of this very process wrote the file a moment ago.
    kept = torch.load(checkpoint, map_location="cpu", weights_only=False)
    settings = {"imgsz": INPUT_SIDE, "task": "detect", "data": "shapes"}
    kept["model"].args = {**settings}
    kept["model"].yaml["yaml_file"] = "kadr-demo.yaml"
    torch.save(
        {
            "epoch": -1,
            "model": kept["model"],
            "train_args": settings,
            **{key: kept[key] for key in ("version", "license", "docs")},
        },
        target,
    )


def export_openvino(weights: Path, *, folder: Path) -> Path:
    """Export a copy of the weights beside nothing of the project's, as the service does."""
    from ultralytics import YOLO  # noqa: PLC0415  # heavy, and reads its environment when imported

    copy = folder / weights.name
    shutil.copyfile(weights, copy)
    return Path(YOLO(str(copy)).export(format="openvino", dynamic=True, imgsz=INPUT_SIDE, verbose=False))


def _draw_example(rng: np.random.Generator) -> tuple[Picture, str]:
    """Draw a training picture and its labels: class, middle and size as shares of the side."""
    side = int(rng.choice(SOURCE_SIDES))
    picture, truth = draw_picture(rng, size=(side, side), scale=max(1.0, 2 * side / INPUT_SIDE))
    # A clip has been through H.264 before the service sees it; a poor JPEG leaves similar traces.
    picture = preprocess(_through_jpeg(picture, quality=int(rng.integers(55, 100))))
    way = cv2.INTER_AREA if side > SIDE else cv2.INTER_LINEAR
    return cv2.resize(picture, (SIDE, SIDE), interpolation=way), _write_labels(truth, side)


def _through_jpeg(picture: Picture, *, quality: int) -> Picture:
    full = quality >= FULL_COLOUR_QUALITY
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444 if full else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    _, data = cv2.imencode(".jpg", picture, options)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def _write_labels(truth: Truth, side: int) -> str:
    lines = []
    for shape in truth.objects:
        left, top, right, bottom = (edge / side for edge in shape.box)
        middle = f"{(left + right) / 2:.6f} {(top + bottom) / 2:.6f}"
        lines.append(f"{NAMES.index(shape.name)} {middle} {right - left:.6f} {bottom - top:.6f}\n")
    return "".join(lines)


def _keep_ultralytics_to_itself(config: Path) -> None:
    """Let Ultralytics neither ask the network nor install nor write outside the given folder."""
    os.environ.update(
        YOLO_OFFLINE="true",
        YOLO_AUTOINSTALL="false",
        YOLO_CONFIG_DIR=str(config),
        ULTRALYTICS_SAFE_LOAD="true",  # `--evaluate-only` loads what `--out` names
    )
    # It fetches this font for the labels on plots; none are drawn, and a file that is there is not fetched.
    for folder in (config, config / "Ultralytics"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "Arial.ttf").touch()


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("models/demo.pt"), help="where the weights go")
    parser.add_argument("--pictures", type=int, default=5000, help="how many training pictures to draw")
    parser.add_argument("--epochs", type=int, default=10, help="how often to see each of them")
    parser.add_argument("--evaluate-only", action="store_true", help="measure the weights that are there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
