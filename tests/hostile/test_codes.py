"""Every code that a video can fail with because of what it is, reached by a file through a real child."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from app.decoding import conversation
from app.decoding.process import DecoderCrashed, open_decoding_pool
from app.decoding.protocol import Job
from app.domain.failures import SENTENCES
from app.domain.messages import Failure, Options
from app.settings import Settings
from tests.hostile.crafted import block, cluster, info, matroska, pictures, track, tracks
from tests.support.clips import cut, grey, noise, write_changing_size, write_clip, write_sound

ELSEWHERE: Final = {
    "input_missing",
    "bucket_missing",
    "cancelled",
    "frames_lost",
    "rejected",
    "worker_crashed",
    "unknown_class",
    "unsupported_size",
    "model_memory",
    "decoder_crashed",
}
"""Codes that say nothing of the file, or that need more than a file: see the tests of the stages, and for a
child that is killed `tests/decoding/test_process.py`."""


def write_text(path: Path) -> Path:
    path.write_text("no video\n" * 100)
    return path


def write_damaged(path: Path) -> Path:
    path.write_bytes(matroska(info(), tracks(track(1)), cluster(0, block(1, 0, b"no picture"))))
    return path


def write_encrypted(path: Path) -> Path:
    """Name the sample entry as Common Encryption does (ISO/IEC 23001-7)."""
    data = write_clip(path.with_suffix(".mp4")).read_bytes()
    path.write_bytes(data.replace(b"avc1\0\0\0\0", b"encv\0\0\0\0"))
    return path


def write_heavy(path: Path) -> Path:
    return write_clip(path.with_suffix(".avi"), frames=60, size=(1280, 720), codec="mpeg4", picture=noise)


def write_moving(path: Path) -> Path:
    return write_changing_size(path.with_suffix(".ts"), (160, 96), (96, 64), (200, 120))


CLIP: Final = 32
"""Frames of a clip, if nothing else is said; they take 1.28 seconds."""

Write = Callable[[Path], Path]

REACHED: Final[dict[str, tuple[Write, dict[str, Any]]]] = {
    "not_a_video": (write_text, {}),
    "no_video_stream": (lambda path: write_sound(path.with_suffix(".mp4")), {}),
    "unsupported_codec": (lambda path: write_clip(path.with_suffix(".mkv"), codec="ffv1"), {}),
    "encrypted": (write_encrypted, {}),
    "truncated": (lambda path: cut(write_clip(path.with_suffix(".mp4")), 0.5), {}),
    "no_frames": (write_damaged, {}),
    "empty_window": (lambda path: write_clip(path.with_suffix(".mp4")), {}),
    "too_many_pixels": (lambda path: write_clip(path.with_suffix(".mp4")), {"max_pixels": 160 * 96 - 1}),
    "too_many_frames": (lambda path: write_clip(path.with_suffix(".ts")), {"max_frames": CLIP - 1}),
    "too_many_streams": (
        lambda path: _written(
            path, matroska(info(), tracks(*(track(each + 1) for each in range(3))), pictures())
        ),
        {"max_streams": 2},
    ),
    "too_many_sizes": (write_moving, {"max_size_changes": 1}),
    "too_many_frames_per_second": (
        lambda path: write_clip(path.with_suffix(".ts"), rate=50),
        {"max_frame_rate": 15.0},
    ),
    "too_long": (lambda path: write_clip(path.with_suffix(".ts")), {"max_duration": timedelta(seconds=1)}),
    "too_costly": (
        write_heavy,
        {
            "decoder_cpu": 0.001,
            "decoder_cpu_least": timedelta(0),
            "decoder_stall": timedelta(seconds=1),
        },
    ),
    "decoder_timeout": (write_heavy, {"decoder_wall": timedelta(seconds=0.1)}),
    "decoder_memory": (
        lambda path: write_clip(
            path.with_suffix(".mp4"), frames=1, size=(8000, 4000), codec="mpeg4", picture=grey
        ),
        {"decoder_memory": 256 << 20},
    ),
}
"""By code: what writes a file that ends so, and the settings that it takes."""


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("code", REACHED)
async def test_a_video_fails_with_its_code_and_its_sentence(
    tmp_path: Path, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only lack of memory counts as a crash, which is tried again: it may have been somebody else's."""
    monkeypatch.setattr(conversation, "LOOK_EVERY", 0.02)
    write, given = REACHED[code]
    options = Options(vid_stride=1, start=5 if code == "empty_window" else None)
    path = write(tmp_path / "video")
    died_of = ""
    async with (
        open_decoding_pool(Settings(**given)) as pool,
        pool.decode(Job("video", 1, str(path), options)) as split,
    ):
        try:
            async for _ in split.frames():
                pass
            outcome = split.outcome
        except DecoderCrashed as crash:
            outcome, died_of = crash.failure, crash.code
    assert isinstance(outcome, Failure)
    assert outcome.code == code
    assert died_of in {"", "decoder_memory"}
    assert outcome.message.startswith(SENTENCES[code])


def test_every_code_is_reached() -> None:
    assert REACHED.keys() | ELSEWHERE == SENTENCES.keys()


def test_a_code_is_a_word_for_programs_and_its_sentence_one_for_people() -> None:
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in SENTENCES)
    assert all(re.fullmatch(r"[A-Z].*\.", sentence) for sentence in SENTENCES.values())
