"""The only module that imports NNCF: makes an INT8 graph of one at f32, with pictures to look at.

Run as a program it does one job and ends, as `app.detection.checkpoint` does:

    python -m app.detection.quantization quantize CALIBRATION FOLDER
"""

import contextlib
import os
import sys
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from app.detection.boxes import canvas_size, place
from app.detection.facts import Calibration, Outcome
from app.detection.pictures import decode_picture, letterbox

GRAPH: Final = "model.xml"
"""Name of the graph that is made."""


def quantize(calibration: Calibration, target: Path) -> None:
    """Write the INT8 graph.

    As Ultralytics does it: activations asymmetric where they are (preset `MIXED`), the end of the head in
    floating point. Measured with YOLOv8n on 128 pictures: with everything symmetric (`PERFORMANCE`) 7.7 %
    of the boxes are new instead of 2.8 %, and it is no faster.

    Args:
        calibration: the f32 graph, and the pictures.
        target: the graph's file.
    """
    import nncf  # noqa: PLC0415  # heavy, and absent where nothing is quantized
    import openvino  # noqa: PLC0415  # the same

    graph = openvino.Core().read_model(calibration.graph)
    size = canvas_size(calibration.imgsz, calibration.stride)
    inputs = nncf.Dataset(calibration.pictures, lambda path: _input(path, size, calibration.stride))
    quantized = nncf.quantize(
        graph,
        inputs,
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(calibration.pictures),
        ignored_scope=nncf.IgnoredScope(names=_end_of_head(graph)),
    )
    openvino.save_model(quantized, target, compress_to_fp16=False)


def _input(path: str, size: int, stride: int) -> npt.NDArray[np.float32]:
    """Return a picture as the graph takes it; the worker's graph has these steps in front of its own."""
    picture = decode_picture(Path(path).read_bytes())
    canvas = letterbox(picture, place(*picture.shape[:2], size=size, stride=stride))
    rgb = canvas[:, :, ::-1].transpose(2, 0, 1)[None]
    return np.ascontiguousarray(rgb, np.float32) / np.float32(255)


def _end_of_head(graph: Any) -> list[str]:  # noqa: ANN401  # OpenVINO's
    """Return the names of the operations that turn the last features into boxes: pixels do not fit 8 bits."""
    operations = [(each.get_friendly_name(), each.get_type_name()) for each in graph.get_ordered_ops()]
    sigmoids = [name for name, kind in operations if kind == "Sigmoid"]
    if not sigmoids:
        return []
    head = sigmoids[-1].partition("/")[0]
    return [
        name for name, kind in operations if kind == "Sigmoid" or name.startswith((f"{head}/", f"{head}.dfl"))
    ]


def main(_job: str, calibration: str, folder: str) -> int:
    """Make the graph in `folder`; print the outcome as one line of JSON on the real standard output."""
    os.chdir(folder)
    outcome = Outcome()
    with contextlib.redirect_stdout(sys.stderr):
        try:
            quantize(msgspec.json.decode(Path(calibration).read_bytes(), type=Calibration), Path(GRAPH))
        except ImportError as error:
            outcome.error = f"making an INT8 export needs NNCF: install kadr[quantize] ({error})"
        except Exception as error:  # noqa: BLE001  # whatever NNCF fails with, the operator gets one line
            cause = str(error).strip().partition("\n")[0] or type(error).__name__
            outcome.error = f"the model cannot be quantized: {cause}"
    sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
