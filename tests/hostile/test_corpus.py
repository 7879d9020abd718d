"""Hostile files through real children: what becomes of each, and that nothing but a child ever suffers."""

import re
import resource
import shutil
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from app.decoding.process import DecodingPool, open_decoding_pool
from app.domain.failures import SENTENCES
from app.settings import Settings
from tests.hostile.crafted import BUILDERS
from tests.hostile.cuts import CLIPS, FRAMES, write_cuts
from tests.hostile.verdicts import judge
from tests.support.clips import data_folder

MEMORY: Final = 700 << 20
"""Bytes that a child may have resident at most on any of these files: it starts with some 80 MB."""

SECONDS: Final = 60.0
"""How long any of these files may take."""

ALIKE: Final = frozenset({"mp4_index_first", "mkv_live", "ts_with_sound", "mpg", "ogv", "flv", "gif"})
"""Clips whose containers break off as another one's do: cut before releases only."""

REAL: Final = {
    "androidx_avi__sample-with-large-length.avi": "58 frames",
    "androidx_drm__sample_av1c_fragmented_clearkey.mp4": "encrypted",
    "androidx_drm__sample_fragmented_clearkey.mp4": "encrypted",
    "androidx_drm__sample_fragmented_widevine.mp4": "encrypted",
    "androidx_mkv__full_blocks.mkv": "no_video_stream",
    "androidx_mp4__sample_empty_track.mp4": "30 frames",
    "androidx_mp4__sample_fragmented_sgpd_v2.mp4": "encrypted",
    "androidx_mp4__sample_fragmented_sideloaded_track.mp4": "not_a_video",
    "androidx_mp4__sample_fragmented_unsupported_brands.mp4": "30 frames",
    "androidx_mp4__sample_fragmented_uuid.mp4": "no_frames",
    "androidx_mp4__sample_malformed_free_box.mp4": "not_a_video",
    "androidx_mp4__sample_mdat_too_long.mp4": "30 frames",
    "androidx_mp4__sample_missing_stsd.mp4": "30 frames",
    "androidx_mp4__sample_unsupported_brands.mp4": "30 frames",
    "androidx_mp4__sample_vvc.mp4": "unsupported_codec",
    "androidx_mp4__sample_with_invalid_nalu.mp4": "29 frames",
    "androidx_vp9__invalid-bitstream.webm": "no_frames",
    "decord_corrupted.mp4": "49 frames",
    "moviepy_video_with_failing_audio.mp4": "280 frames",
    "moviepy_zero_byte_result.webm": "not_a_video",
    "decord_unordered.mov": "4 frames",
    "decord_video_0.mov": "3 frames",
    "decord_video_180.mov": "3 frames",
    "decord_video_270.mov": "3 frames",
    "decord_video_90.mov": "3 frames",
    "imageio_newtonscradle.gif": "36 frames",
    "imageio_realshort.mp4": "36 frames",
    "moviepy_big_buck_bunny_432_433.webm": "24 frames",
    "moviepy_no_duration.webm": "74 frames",
    "moviepy_test_video.mp4": "5 frames",
    "moviepy_transparent.webm": "150 frames",
    "mp4parse_av1-clearkey-cbcs-video.mp4": "24 frames",
    "mp4parse_h264_white_frame_sar_16_9.mp4": "1 frames",
    "mp4parse_hevc_white_frame.mp4": "1 frames",
    "mp4parse_minimal.mp4": "1 frames",
    "mp4parse_tiny_av1.mp4": "1 frames",
    "mp4parse_video_colr_nclx_and_icc.mp4": "3 frames",
    "mp4parse_video_colr_nclx_hdr10.mp4": "3 frames",
    "mp4parse_video_colr_nclx_hdr10_full_range.mp4": "3 frames",
    "mp4parse_video_colr_nclx_hlg.mp4": "3 frames",
    "mp4parse_video_colr_nclx_hlg_full_range.mp4": "3 frames",
    "mp4parse_video_colr_nclx_rgb.mp4": "3 frames",
    "mp4parse_video_colr_nclx_two_colr.mp4": "3 frames",
    "mp4parse_video_rotation_90.mp4": "1 frames",
    "mp4parse_white.mp4": "300 frames",
    "torchcodec_av1_video.mkv": "125 frames",
    "torchcodec_bt709_full_range.mp4": "30 frames",
    "torchcodec_h264_10bits.mp4": "30 frames",
    "torchcodec_h265_10bits.mp4": "30 frames",
    "torchcodec_h265_video.mp4": "10 frames",
    "torchcodec_nasa_13013.mp4": "325 frames",
    "vali_pts_test_video.mkv": "299 frames",
    "vali_test.mp4": "96 frames",
    "vali_test_hevc10.mkv": "110 frames",
    "vali_test_mpeg4.mpg": "96 frames",
    "vali_test_multires.mkv": "96 frames",
    "vali_test_res_change.h264": "96 frames",
    "vali_test_rot_90_deg.mp4": "30 frames",
}
"""What becomes of each file of `corrupt` and `edge`; all that are there must be named, and none more."""


GROWTH: Final = 128 << 20
"""Bytes by which this process may grow while it judges a group of files, clips written meanwhile included."""

UNSURE: Final = {"ts", "ts_with_sound", "mpg", "h264"}
"""Formats that tell no length: a cut that happens to leave no damaged picture goes unseen."""


@pytest.fixture
async def pool() -> AsyncIterator[DecodingPool]:
    settings = Settings(decoder_stall=timedelta(seconds=20))
    async with open_decoding_pool(settings) as opened:
        yield opened


def worker_memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def judge_each(pool: DecodingPool, paths: Iterable[Path]) -> dict[str, str]:
    """Return what becomes of each file, by name; none may cost more than it should, or kill its child."""
    before, found = worker_memory(), {}
    for path in paths:
        verdict = await judge(pool, path)
        assert not verdict.death, verdict
        assert verdict.memory < MEMORY, verdict
        assert verdict.seconds < SECONDS, verdict
        found[path.name] = verdict.outcome
    assert worker_memory() - before < GROWTH
    return found


@pytest.mark.data
async def test_every_real_file_ends_as_it_should(pool: DecodingPool) -> None:
    data = data_folder()
    if data is None:
        pytest.skip("no folder of real videos; set KADR_TEST_DATA")
    paths = [path for folder in ("corrupt", "edge") for path in sorted((data / folder).iterdir())]
    assert await judge_each(pool, paths) == REAL


async def test_every_crafted_file_ends_as_it_should(pool: DecodingPool, tmp_path: Path) -> None:
    for name, (build, _) in BUILDERS.items():
        build(tmp_path / name)
    found = await judge_each(pool, (tmp_path / name for name in BUILDERS))
    wrong = {name: outcome for name, outcome in found.items() if not re.fullmatch(BUILDERS[name][1], outcome)}
    assert not wrong


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=[pytest.mark.long] * (each in ALIKE)) for each in CLIPS]
)
async def test_what_is_left_of_a_cut_file_is_called_truncated(
    pool: DecodingPool, tmp_path: Path, name: str
) -> None:
    outcomes = list((await judge_each(pool, write_cuts(tmp_path, name))).values())
    told = [each for each in outcomes if each.endswith("(truncated)") or each == "truncated"]
    assert len(told) >= (len(outcomes) - 3 if name in UNSURE else len(outcomes)), outcomes
    frames = [int(each.split()[0]) for each in outcomes if each != "truncated"]
    assert frames == sorted(frames)
    assert all(0 < count < FRAMES for count in frames)


async def test_a_whole_file_is_not_called_truncated(pool: DecodingPool, tmp_path: Path) -> None:
    whole = [CLIPS[name](tmp_path / name) for name in CLIPS]
    assert set((await judge_each(pool, whole)).values()) == {f"{FRAMES} frames"}


async def test_a_file_may_have_any_name(pool: DecodingPool, tmp_path: Path) -> None:
    clip = CLIPS["mkv"](tmp_path / "clip")
    for name in ("clip.m3u8", "http:--x", "clip.%d.png", "a\nb.mp4", "é.avi", "-i"):
        shutil.copy(clip, tmp_path / name)
        assert (await judge(pool, tmp_path / name)).outcome == f"{FRAMES} frames"


def test_every_code_that_is_expected_has_a_sentence() -> None:
    codes = {
        code
        for _, expected in BUILDERS.values()
        for code in re.findall(r"[a-z]+(?:_[a-z]+)+|truncated", expected)
    }
    assert codes - SENTENCES.keys() == set()
