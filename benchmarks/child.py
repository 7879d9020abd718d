"""`python -m benchmarks.child JOB MODEL`: one job, loaded and warm, done each time it is told to.

Everything but Kadr is measured in such a process. It does nothing between two orders. `MODEL` is the weights
for `torch`, the folder of the exported model for `openvino`, its graph for `graph`, and unused by `decode`.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

import msgspec

from app.settings import Settings
from benchmarks.videos import STRIDE

Job = Literal["torch", "openvino", "decode", "graph"]


class Order(msgspec.Struct, frozen=True):
    """What to do now.

    Attributes:
        video: the file.
        width: of its frames, in pixels.
        height: likewise.
        frames: sampled frames after which to stop; 0 means at the video's end.
    """

    video: str
    width: int
    height: int
    frames: int = 0


class Answer(msgspec.Struct, frozen=True):
    """What was done.

    Attributes:
        frames: sampled frames.
        began: seconds of the monotonic clock, which every process of the machine shares.
        ended: likewise.
        cpu: milliseconds of processor time of this process, all threads.
        note: what is worth knowing of how the job runs.
    """

    frames: int
    began: float
    ended: float
    cpu: float
    note: str = ""


Work = Callable[[Order], int]
"""Does what is ordered; returns how many sampled frames."""


def open_decoding(_model: Path) -> tuple[Work, Callable[[], str]]:
    """Decode every sampled frame to pixels, as fast as it can be done exactly, and drop them."""
    import cv2  # noqa: PLC0415  # each job loads only its own libraries

    from app.decoding.limits import keep_heap  # noqa: PLC0415  # likewise
    from app.decoding.process import create_limits  # noqa: PLC0415  # likewise
    from app.decoding.reader import VideoReader  # noqa: PLC0415  # likewise

    keep_heap()
    cv2.setNumThreads(1)
    limits = create_limits(Settings())

    def work(order: Order) -> int:
        done = 0
        with Path(order.video).open("rb", buffering=0) as video:
            for sample in VideoReader(video, stride=STRIDE, limits=limits).sampled():
                sample.picture()
                done += 1
                if done == order.frames:
                    break
        return done

    return work, lambda: "pictures that no wanted one refers to are skipped"


def open_graph(model: Path) -> tuple[Work, Callable[[], str]]:
    """Run the bare graph as often as there are sampled frames, on noise of the right shape."""
    import numpy as np  # noqa: PLC0415  # each job loads only its own libraries

    from app.detection.boxes import place  # noqa: PLC0415  # likewise
    from app.detection.graph import REQUESTS, Graphs  # noqa: PLC0415  # likewise
    from app.detection.process import tune_process  # noqa: PLC0415  # likewise

    tune_process()
    graphs, size = Graphs(model), Settings().imgsz
    rng = np.random.default_rng(0)

    def work(order: Order) -> int:
        shape = place(order.height, order.width, size=size, stride=32).canvas
        free = graphs.requests(shape)
        requests = [free.get() for _ in range(REQUESTS)]
        for number in range(order.frames):
            request = requests[number % REQUESTS]
            if number < REQUESTS:
                request.get_input_tensor().data[:] = rng.integers(0, 256, (1, *shape, 3), np.uint8)
            else:
                request.wait()
            request.start_async()
        for request in requests[: order.frames]:
            request.wait()
        for request in requests:
            free.put(request)
        return order.frames

    return work, lambda: f"{REQUESTS} requests at a time, f32"


def open_loop(model: Path) -> tuple[Work, Callable[[], str]]:
    """Run the loop that a user would write with Ultralytics."""
    import torch  # noqa: PLC0415  # each job loads only its own libraries
    from ultralytics import YOLO  # noqa: PLC0415  # likewise, and it reads its environment when imported

    yolo = YOLO(str(model), task="detect")

    def work(order: Order) -> int:
        done = 0
        # The thresholds are Kadr's defaults; nothing is printed or saved; the rest is Ultralytics' default.
        for _ in yolo.predict(
            order.video, vid_stride=STRIDE, stream=True, conf=0.25, iou=0.45, save=False, verbose=False
        ):
            done += 1
            if done == order.frames:
                break
        return done

    def note() -> str:
        backend: Any = yolo.predictor.model.backend
        compiled = getattr(backend, "ov_compiled_model", None)
        if compiled is None:
            return f"{torch.get_num_threads()} threads of torch on {backend.device}, f32"
        precision = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        return f"{compiled.get_property('PERFORMANCE_HINT')} mode, {precision} (OpenVINO's own choice)"

    return work, note


JOBS: Final[dict[str, Callable[[Path], tuple[Work, Callable[[], str]]]]] = {
    "torch": open_loop,
    "openvino": open_loop,
    "decode": open_decoding,
    "graph": open_graph,
}


def main(job: Job, model: Path) -> None:
    """Load, say that we are ready, and do what is ordered, a line each, until there are no more orders."""
    output = _claim_output()
    work, note = JOBS[job](model)
    _write(output, Answer(0, 0, 0, 0))
    for line in sys.stdin.buffer:
        order = msgspec.json.decode(line, type=Order)
        began, cpu = time.monotonic(), time.process_time()
        frames = work(order)
        ended, used = time.monotonic(), time.process_time() - cpu
        _write(output, Answer(frames, began, ended, used * 1000, note()))


def _claim_output() -> BinaryIO:
    """Return the pipe to the parent; whatever a library prints goes to the standard error."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return output


def _write(output: BinaryIO, answer: Answer) -> None:
    output.write(msgspec.json.encode(answer) + b"\n")
    output.flush()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))  # type: ignore[arg-type]  # a KeyError says it
