"""The only module that imports OpenVINO: runs an exported model on this machine's processor.

One static graph per shape of the canvas, each with its own infer requests. Numbers behind the choices, on
two cores with YOLOv8n: two streams with a request each 21.7 ms a picture, one stream 23.5, batches no
better; Ultralytics on the same export 42.
"""

import threading
from collections import OrderedDict
from functools import cache, cached_property
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, Literal

import numpy as np
import openvino

from app.detection.boxes import Boxes, candidates, canvas_size, finished, place, suppress, to_picture
from app.detection.export import Export
from app.detection.pictures import Pixels, letterbox
from app.detection.wanted import Wanted
from app.domain.failures import failure
from app.errors import KadrError, Rejected

REQUESTS: Final = 2
"""Pictures in the graph at the same time."""

SHAPES: Final = 8
"""Graphs kept; the one unused for longest goes. Compiling one takes 0.2 s, and each holds the weights."""

BF16: Final = "BF16"
"""How OpenVINO names what a processor can do."""

END_TO_END_COLUMNS: Final = 6
"""Left, top, right, bottom, score, class."""

BOX_ROWS: Final = 4
"""Rows of a raw output before the scores of the classes."""

Floats = Literal["f32", "bf16"]
"""What a graph computes in where it computes in floating point.

Always said. Left alone, OpenVINO picks bf16 on processors that know it: other boxes, and on one without AMX
1.56 times slower than f32, though on another faster. What an INT8 graph leaves in floating point is no faster
in bf16 (0.99 to 1.04 times, measured side by side), and in f32 it gives the same boxes on every processor.
"""

Shape = tuple[int, int]
Requests = SimpleQueue[Any]


class GraphUnusable(KadrError):
    """OpenVINO cannot run this model here; the model may still be run another way."""


@cache
def core() -> openvino.Core:
    """Return OpenVINO, which is loaded once and never let go.

    What it runs models on lends the thread that loads it a stack for signals, and takes it back when the last
    model is gone: from another thread, or in another order than they came, so that the next signal, such as
    the one that asks a worker to stop, ends the process on the spot (`SigAltStackSetup` in OpenVINO's
    `intel_cpu/src/plugin.cpp`; Python takes its signals on such a stack since 3.10).
    """
    return openvino.Core()


def knows_bf16() -> bool:
    """Say whether this processor computes in bf16."""
    return BF16 in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class GraphModel:
    """A model on OpenVINO; safe to use from several threads.

    Args:
        export: the exported model.
        imgsz: longest side of the canvas in pixels where a picture asks for no other, rounded up to whole
            strides.
        floats: what an f32 export computes in; an INT8 one does the rest of its work in f32 always.

    Raises:
        GraphUnusable: OpenVINO cannot run it, or not so on this processor, or its output has a form we do not
            know.
    """

    def __init__(self, export: Export, imgsz: int, floats: Floats = "f32") -> None:
        is_f32 = export.facts.precision == "f32"
        self.backend = f"openvino {floats if is_f32 else export.facts.precision}"
        self.names = tuple(export.facts.names)
        self._facts = export.facts
        self._imgsz = imgsz
        self._graphs = Graphs(export.graph, floats if is_f32 else "f32")
        try:
            self._graphs.check_form(classes=len(self.names), end2end=export.facts.end2end)
            # Frames of 16:9 are the most likely; and what fails, fails now.
            stride = export.facts.stride
            size = canvas_size(imgsz, stride)
            height = size * 9 // 16
            self._graphs.requests(place(height, size, size=size, stride=stride).canvas)
            self.detect_one(np.zeros((height, size, 3), np.uint8), Wanted(conf=0.99))
        except RuntimeError as error:
            # The last line names the cause; those before it are places in OpenVINO's source.
            cause = str(error).strip().rpartition("\n")[2]
            raise GraphUnusable(f"OpenVINO cannot run it: {cause}") from error

    def detect_one(self, picture: Pixels, wanted: Wanted) -> Boxes:
        """Return what is in a picture, in its pixels; blocks, without holding the GIL while the graph runs.

        Args:
            picture: height, width, 3; BGR.
            wanted: which boxes, and how large the canvas.

        Raises:
            Rejected: `unsupported_size`, there is no graph for such a canvas: what keeps the best of so many
                anchors cannot be had where there are fewer.
        """
        height, width = picture.shape[:2]
        size = canvas_size(wanted.imgsz or self._imgsz, self._facts.stride)
        placement = place(height, width, size=size, stride=self._facts.stride)
        canvas = letterbox(picture, placement)
        try:
            requests = self._graphs.requests(placement.canvas)
        except RuntimeError as error:
            down, across = placement.canvas
            reason = failure("unsupported_size", f"Its input would be {across}x{down} pixels.")
            raise Rejected(reason.code, reason.message) from error
        request = requests.get()
        try:
            request.set_input_tensor(openvino.Tensor(canvas[None], shared_memory=True))
            # Not AsyncInferQueue: its callbacks take the GIL from a foreign thread, and are known to hang.
            request.start_async()
            request.wait()
            output = request.get_output_tensor(0).data[0]
            boxes = (
                finished(output, conf=wanted.conf, max_det=wanted.max_det, classes=wanted.classes)
                if self._facts.end2end
                else candidates(output, wanted.conf, wanted.classes)
            )
        finally:
            requests.put(request)
        if not self._facts.end2end:
            boxes = suppress(boxes, iou=wanted.iou, max_det=wanted.max_det)
        return boxes._replace(corners=to_picture(boxes.corners, placement))


class Graphs:
    """The compiled graphs of one model, one per shape, the latest used kept.

    Args:
        path: of the model that OpenVINO reads.
        floats: what they compute in where they compute in floating point.

    Raises:
        GraphUnusable: this processor does not know it.
    """

    def __init__(self, path: Path, floats: Floats = "f32") -> None:
        if floats == "bf16" and not knows_bf16():  # OpenVINO would take f32 without a word
            raise GraphUnusable("this processor does not know bf16")
        self._path = path
        self._configuration = {"INFERENCE_PRECISION_HINT": floats, "NUM_STREAMS": str(REQUESTS)}
        self._kept: OrderedDict[Shape, Requests] = OrderedDict()
        self._lock = threading.Lock()

    def check_form(self, *, classes: int, end2end: bool) -> None:
        """Make sure that the output is one of the two forms that we read.

        Raises:
            GraphUnusable: it is not.
        """
        shape = self._model.output(0).get_partial_shape()
        form = [axis.get_length() if axis.is_static else None for axis in shape]
        known = form[2] == END_TO_END_COLUMNS if end2end else form[1] == BOX_ROWS + classes
        if not known:
            raise GraphUnusable(f"its output has an unknown form, {shape}")

    def requests(self, shape: Shape) -> Requests:
        """Return the infer requests of the graph for a canvas of this height and width.

        Whoever takes one puts it back. Those of a graph that was let go work on until they are put back.
        """
        with self._lock:
            requests = self._kept.pop(shape, None) or self._compiled(shape)
            self._kept[shape] = requests
            if len(self._kept) > SHAPES:
                self._kept.popitem(last=False)
            return requests

    @cached_property
    def _model(self) -> Any:  # noqa: ANN401  # OpenVINO's
        """The model, read once: a file that is changed later is not what was checked before."""
        return core().read_model(self._path)

    def _compiled(self, shape: Shape) -> Requests:
        model = self._model.clone()
        model.reshape([1, 3, *shape])
        preprocess = openvino.preprocess
        steps = preprocess.PrePostProcessor(model)
        pixels = steps.input().tensor()
        pixels.set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
        pixels.set_color_format(preprocess.ColorFormat.BGR)
        steps.input().model().set_layout(openvino.Layout("NCHW"))
        convert = steps.input().preprocess().convert_element_type(openvino.Type.f32)
        convert.convert_color(preprocess.ColorFormat.RGB).scale(255.0)
        compiled = core().compile_model(steps.build(), "CPU", self._configuration)
        requests: Requests = SimpleQueue()
        for _ in range(REQUESTS):
            requests.put(compiled.create_infer_request())
        return requests
