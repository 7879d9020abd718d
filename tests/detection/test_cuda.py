"""On a GPU: what a processor finds is found, batches are batches, what does not fit is halved."""

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from msgspec import UNSET

from app.detection.checkpoint import free_memory
from app.detection.detector import open_detector
from app.detection.fallback import TorchModel
from app.detection.installed import look_around
from app.detection.wanted import Wanted
from app.errors import Rejected
from app.settings import Settings
from benchmarks import parity
from tests.detection.tiny_models import TaskOf, blobs

pytestmark = [
    pytest.mark.skipif(not look_around().has_gpu, reason="no NVIDIA GPU that torch can use"),
    pytest.mark.filterwarnings("ignore"),  # torch and Ultralytics are not ours to silence
    pytest.mark.timeout(300),
]

SettingsFor = Callable[[Path], Settings]

SIZES = [(240, 320), (360, 640), (333, 217)]


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> TorchModel:
    digest = hashlib.sha256(tiny_model.read_bytes()).hexdigest()
    return TorchModel(tiny_model, digest, 320, data_dir=tmp_path)


@pytest.fixture
def little_memory() -> Iterator[Callable[[int], None]]:
    """Let torch have so many bytes of the GPU beyond what it uses already."""
    import torch  # noqa: PLC0415  # heavy, and some machines have none

    def limit(more: int) -> None:
        free_memory()
        allowed = torch.cuda.memory_reserved() + more
        torch.cuda.set_per_process_memory_fraction(allowed / torch.cuda.mem_get_info()[1])

    yield limit
    torch.cuda.set_per_process_memory_fraction(1.0)
    free_memory()


async def compared(settings: Settings, weights: Path, backend: str) -> parity.Agreement:
    """Compare what a GPU finds in 30 pictures with what Ultralytics finds on a processor."""
    tasks = [parity.task_of(number, blobs(number, *SIZES[number % 3])) for number in range(30)]
    expected = parity.reference(tasks, weights)
    async with open_detector(settings) as detector:
        assert detector.facts.backend == backend
    agreement = parity.compare(await parity.ours(tasks, settings), expected)
    assert agreement.boxes > 500
    return agreement


async def test_a_gpu_finds_what_a_processor_finds(
    tiny_model: Path, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity, "SIZE", 320)
    agreement = await compared(settings_for(tiny_model), tiny_model, "ultralytics cuda f32")
    assert agreement.share >= 0.99, agreement.row
    assert float(np.median(agreement.conf_differences)) < 0.0001, agreement.row


async def test_half_precision_finds_nearly_what_a_processor_finds(
    tiny_model: Path, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity, "SIZE", 320)
    settings = settings_for(tiny_model).model_copy(update={"detector_precision": "bf16"})
    agreement = await compared(settings, tiny_model, "ultralytics cuda f16")
    # 11 bits of a number are left: boxes move by a fraction of a pixel, scores in the third digit. Boxes of
    # this model overlap in crowds, of which suppression keeps one or another: a trained one agrees better.
    assert agreement.share >= 0.95, agreement.row
    assert float(np.median(agreement.conf_differences)) < 0.005, agreement.row


async def test_a_batch_finds_what_its_pictures_find_alone(
    tiny_model: Path, settings_for: SettingsFor, task_of: TaskOf
) -> None:
    tasks = [task_of(number, conf=0.35, imgsz=64 * (1 + number % 5)) for number in range(64)]
    async with open_detector(settings_for(tiny_model)) as detector:
        together = await detector.detect(tasks)
        alone = [(await detector.detect([task]))[0] for task in tasks]
    counts = [(len(a.objects), len(b.objects)) for a, b in zip(together, alone, strict=True)]
    assert sum(a for a, _ in counts) > 1000
    assert sum(abs(a - b) for a, b in counts) <= 0.03 * sum(a for a, _ in counts)


def test_memory_of_the_gpu_does_not_grow_with_what_was_looked_at(model: TorchModel) -> None:
    import torch  # noqa: PLC0415  # see above

    pictures = [blobs(seed, 240, 320) for seed in range(16)]
    for _ in range(5):
        model.detect_batch(pictures, Wanted(0.25))
    before = torch.cuda.memory_reserved()
    for _ in range(100):
        model.detect_batch(pictures, Wanted(0.25))
    assert torch.cuda.memory_reserved() <= before


def test_a_batch_that_does_not_fit_is_looked_at_in_halves(
    model: TorchModel, little_memory: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    pictures = [blobs(seed, 960, 1280) for seed in range(32)]
    wanted = Wanted(0.4, imgsz=1280)
    expected = model.detect_batch(pictures[:1], wanted)
    little_memory(600 << 20)
    found = model.detect_batch(pictures, wanted)
    assert "too small for a batch" in caplog.text
    boxes = [each for each in found if not isinstance(each, Rejected)]
    assert len(boxes) == 32
    first = expected[0]
    assert not isinstance(first, Rejected)
    assert abs(len(boxes[0].scores) - len(first.scores)) <= 0.1 * len(first.scores)


async def test_a_picture_that_does_not_fit_alone_is_an_error_and_its_neighbours_are_not(
    tiny_model: Path, settings_for: SettingsFor, task_of: TaskOf, little_memory: Callable[[int], None]
) -> None:
    tasks = [task_of(0, imgsz=1280, height=1280, width=1280), task_of(1, imgsz=64)]
    async with open_detector(settings_for(tiny_model)) as detector:
        little_memory(30 << 20)
        large, small = await detector.detect(tasks)
    assert large.error is not UNSET
    assert large.error.code == "model_memory"
    assert "1280x1280 pixels, and imgsz is 1280" in large.error.message
    assert small.error is UNSET


def test_the_command_line_says_that_the_gpu_was_chosen(tiny_model: Path) -> None:
    command = (sys.executable, "-m", "app.cli", "model", "info", str(tiny_model))
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "ultralytics cuda f32" in answer.stdout, answer
    assert "there is a GPU" in answer.stdout
