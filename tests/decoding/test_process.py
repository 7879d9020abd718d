"""The child that decodes a video, seen from its parent: what it says, and how it can end."""

import asyncio
import base64
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import uvloop
from msgspec.structs import replace

from app.decoding import process
from app.decoding.picture import encode_jpeg, preprocess, shrink
from app.decoding.process import DecoderCrashed, DecodingPool, Split, open_decoding_pool
from app.decoding.protocol import WINDOW, Job
from app.domain.messages import Failure, FrameSampled, Options, Preprocess, VideoFacts, decode, encode
from app.settings import Settings
from tests.support.clips import cut, grey, noise, write_clip, write_sound

STALL = 1.0
OPTIONS = Options(conf=0.5, vid_stride=1)


@pytest.fixture
async def pool() -> AsyncIterator[DecodingPool]:
    settings = Settings(decoder_stall=timedelta(seconds=STALL), decoder_memory=256 << 20)
    async with open_decoding_pool(settings, spares=1) as opened:
        yield opened


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", frames=32, b_frames=2)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Far more pictures than fit into a pipe and the buffers behind it."""
    return write_clip(tmp_path / "large.mp4", frames=60, size=(480, 480), picture=noise)


def job(path: Path, *, options: Options | None = None, **more: object) -> Job:
    return Job("video-1", 3, str(path), options or Options(), **more)  # type: ignore[arg-type]


async def wait_until(state: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not state():  # noqa: ASYNC110  (the state of a process raises no event)
            await asyncio.sleep(0.01)


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


async def pass_time(seconds: float) -> None:
    end = time.monotonic() + seconds
    await wait_until(lambda: time.monotonic() > end)


async def collect(split: Split) -> list[tuple[bytes, bytes, int]]:
    return [item async for item in split.frames()]


async def send_at_first_frame(split: Split, number: signal.Signals) -> None:
    async for _ in split.frames():
        os.kill(split.pid, number)


async def test_each_frame_is_a_finished_message(pool: DecodingPool, clip: Path) -> None:
    async with pool.decode(job(clip, options=Options(conf=0.5))) as split:
        items = await collect(split)
    tasks = [decode(value, FrameSampled) for _, value, _ in items]
    assert [key for key, _, _ in items] == [b"video-1/3/%d" % number for number in range(0, 32, 5)]
    assert [index for _, _, index in items] == list(range(7))
    assert [(task.frame, task.time) for task in tasks[:3]] == [(0, 0.0), (5, 0.2), (10, 0.4)]
    assert {(task.video_id, task.attempt, task.width, task.height) for task in tasks} == {
        ("video-1", 3, 160, 96)
    }
    assert {task.options for task in tasks} == {Options(conf=0.5)}
    assert all(decode(encode(task), FrameSampled) == task for task in tasks)
    assert split.outcome == VideoFacts(160, 96, 25.0, 1.28, 32, 7)


@pytest.mark.parametrize(("name", "expected"), [("clip.mp4", 7), ("clip.h264", None)])
async def test_a_child_tells_at_once_how_long_a_video_is_where_the_file_does(
    pool: DecodingPool, tmp_path: Path, name: str, expected: int | None
) -> None:
    path = write_clip(tmp_path / name, frames=32)
    async with pool.decode(job(path)) as split:
        assert split.expected is None
        async for _ in split.frames():
            assert split.expected == expected


async def test_a_picture_travels_as_it_was_prepared(pool: DecodingPool, tmp_path: Path) -> None:
    wide = write_clip(tmp_path / "wide.mp4", frames=1, size=(1280, 320))
    capture = cv2.VideoCapture(str(wide))
    frame = np.asarray(capture.read()[1], np.uint8)
    capture.release()
    async with pool.decode(job(wide)) as split:
        [(_, value, _)] = await collect(split)
    image = base64.b64decode(decode(value, FrameSampled).image)
    assert image == encode_jpeg(shrink(preprocess(frame), 640))


async def test_a_picture_is_prepared_and_shrunk_as_it_is_asked_for(
    pool: DecodingPool, tmp_path: Path
) -> None:
    wide = write_clip(tmp_path / "wide.mp4", frames=1, size=(1280, 320))
    capture = cv2.VideoCapture(str(wide))
    frame = np.asarray(capture.read()[1], np.uint8)
    capture.release()
    how = Preprocess(blur=5, alpha=0.8, beta=-10)
    for options, expected in (
        (Options(preprocess=False), shrink(frame, 640)),
        (Options(preprocess=False, imgsz=1280), frame),
        (Options(preprocess=how, imgsz=320), shrink(preprocess(frame, how), 320)),
    ):
        async with pool.decode(job(wide, options=options)) as split:
            [(_, value, _)] = await collect(split)
        task = decode(value, FrameSampled)
        assert base64.b64decode(task.image) == encode_jpeg(expected)
        assert (task.width, task.height, task.options) == (1280, 320, options)


async def test_the_operators_size_counts_where_nobody_has_chosen_one(tmp_path: Path) -> None:
    wide = write_clip(tmp_path / "wide.mp4", frames=1, size=(1280, 320))
    async with open_decoding_pool(Settings(imgsz=2048)) as pool:
        for options, width in ((Options(), 1280), (Options(imgsz=96), 96)):
            async with pool.decode(job(wide, options=options)) as split:
                [(_, value, _)] = await collect(split)
            picture = cv2.imdecode(
                np.frombuffer(base64.b64decode(decode(value, FrameSampled).image), np.uint8), cv2.IMREAD_COLOR
            )
            assert picture is not None
            assert picture.shape[1] == width


async def test_a_window_is_split_as_a_part_of_the_whole_and_taken_up_again(
    pool: DecodingPool, tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=100, b_frames=2, key_every=20)
    whole = Options(vid_stride=2, classes=("cat", 3))
    options = replace(whole, start=2.0, end=3.0)
    async with pool.decode(job(clip, options=whole)) as split:
        everything = await collect(split)
    async with pool.decode(job(clip, options=options)) as split:
        part = await collect(split)
        assert split.expected == len(part) == 13
    assert [(key, index) for key, _, index in part] == [(key, index) for key, _, index in everything[25:38]]
    tasks, all_tasks = ([decode(value, FrameSampled) for _, value, _ in some] for some in (part, everything))
    assert [replace(task, options=whole) for task in tasks] == all_tasks[25:38]
    assert split.outcome == VideoFacts(160, 96, 25.0, 3.0, 75, 13, first_frame=50)
    async with pool.decode(job(clip, options=options, start_index=9)) as split:
        assert await collect(split) == part[9:]
    async with pool.decode(job(clip, options=options, only=[58, 70])) as split:
        assert await collect(split) == [part[4], part[10]]


async def test_a_window_behind_the_video_is_a_failure(pool: DecodingPool, clip: Path) -> None:
    async with pool.decode(job(clip, options=Options(start=10))) as split:
        assert await collect(split) == []
    assert isinstance(split.outcome, Failure)
    assert split.outcome.code == "empty_window"
    assert split.outcome.message.endswith("The video ends at 1.280 seconds.")


async def test_splitting_goes_on_where_it_stopped(pool: DecodingPool, clip: Path) -> None:
    async with pool.decode(job(clip)) as split:
        whole = await collect(split)
    async with pool.decode(job(clip, start_index=4)) as split:
        assert await collect(split) == whole[4:]
    assert split.outcome == VideoFacts(160, 96, 25.0, 1.28, 32, 7)
    async with pool.decode(job(clip, only=[5, 25])) as split:
        assert await collect(split) == [whole[1], whole[5]]
    assert isinstance(split.outcome, VideoFacts)


async def test_a_video_that_cannot_be_read_ends_with_the_reason(pool: DecodingPool, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    write_sound(tmp_path / "sound.mp4")
    codes = []
    for name in ("empty.mp4", "sound.mp4"):
        async with pool.decode(job(tmp_path / name)) as split:
            assert await collect(split) == []
        assert isinstance(split.outcome, Failure)
        codes.append(split.outcome.code)
    assert codes == ["not_a_video", "no_video_stream"]


async def test_a_file_that_breaks_off_ends_with_facts_that_say_so(pool: DecodingPool, tmp_path: Path) -> None:
    broken = cut(write_clip(tmp_path / "clip.mkv", frames=200, size=(320, 240)), 0.5)
    async with pool.decode(job(broken)) as split:
        frames = await collect(split)
    assert isinstance(split.outcome, VideoFacts)
    assert split.outcome.truncated
    assert len(frames) == split.outcome.sampled > 0


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
async def test_a_crash_says_which_signal_it_was(
    pool: DecodingPool, large: Path, number: signal.Signals
) -> None:
    async with pool.decode(job(large, options=OPTIONS)) as split:
        with pytest.raises(DecoderCrashed, match=number.name) as caught:
            await send_at_first_frame(split, number)
    assert caught.value.failure.code == "decoder_crashed"
    assert split.outcome is None


async def test_a_child_without_memory_ends_with_that_reason(pool: DecodingPool, tmp_path: Path) -> None:
    huge = write_clip(tmp_path / "huge.mp4", frames=1, size=(8000, 4000), codec="mpeg4", picture=grey)
    async with pool.decode(job(huge)) as split:
        with pytest.raises(DecoderCrashed) as caught:
            await collect(split)
    assert caught.value.code == "decoder_memory"


async def test_a_child_that_hangs_is_given_up_and_killed(pool: DecodingPool, large: Path) -> None:
    async with pool.decode(job(large, options=OPTIONS)) as split:
        with pytest.raises(DecoderCrashed) as caught:
            await send_at_first_frame(split, signal.SIGSTOP)
    assert caught.value.code == "decoder_timeout"
    assert is_gone(split.pid)


async def test_a_child_that_burns_its_processor_time_timed_out(pool: DecodingPool, large: Path) -> None:
    async with pool.decode(job(large, options=OPTIONS)) as split:
        with pytest.raises(DecoderCrashed) as caught:
            await send_at_first_frame(split, signal.SIGXCPU)
    assert caught.value.code == "decoder_timeout"


async def test_a_parent_that_does_not_read_is_no_hang(pool: DecodingPool, large: Path) -> None:
    count = 0
    async with pool.decode(job(large, options=OPTIONS)) as split:
        async for _ in split.frames():
            count += 1
            if count == 2:
                await pass_time(2.5 * STALL)
    assert count == 60
    assert isinstance(split.outcome, VideoFacts)


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_child_may_end_before_its_frames_are_taken(tmp_path: Path, loop: Callable[[], Any]) -> None:
    path = write_clip(tmp_path / "short.mp4", frames=WINDOW - 1)

    async def split_late() -> list[bytes]:
        async with open_decoding_pool(Settings()) as pool, pool.decode(job(path, options=OPTIONS)) as split:
            frames = split.frames()
            keys = [(await anext(frames))[0]]
            await wait_until(lambda: is_gone(split.pid))
            return keys + [key async for key, _, _ in frames]

    with asyncio.Runner(loop_factory=loop) as runner:
        keys = runner.run(split_late())
    assert keys == [b"video-1/3/%d" % number for number in range(WINDOW - 1)]


async def test_a_parent_whose_loop_was_held_up_finds_no_hang(pool: DecodingPool, large: Path) -> None:
    count = 0
    async with pool.decode(job(large, options=OPTIONS)) as split:
        async for _ in split.frames():
            count += 1
            if count == 2:
                asyncio.get_running_loop().call_soon(time.sleep, 1.5 * STALL)
    assert count == 60


async def test_a_parent_that_does_not_read_stops_the_decoder(pool: DecodingPool, large: Path) -> None:
    def processor_time() -> str:
        return " ".join(Path(f"/proc/{split.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13])

    async with pool.decode(job(large, options=OPTIONS)) as split:
        frames = split.frames()
        await anext(frames)
        seen = [""] * 30
        async with asyncio.timeout(20):
            while len(set(seen[-30:])) > 1 or not seen[-1]:
                seen.append(processor_time())
                await asyncio.sleep(0.02)
        assert len([item async for item in frames]) == 59


async def test_a_child_that_we_killed_is_no_crash(pool: DecodingPool, large: Path) -> None:
    count = 0
    async with pool.decode(job(large, options=OPTIONS)) as split:
        async for _ in split.frames():
            count += 1
            split.kill()
    assert count < 60
    assert split.outcome is None
    assert is_gone(split.pid)


async def test_cancelling_the_reader_ends_the_child(pool: DecodingPool, large: Path) -> None:
    pids: list[int] = []

    async def read_first() -> None:
        async with pool.decode(job(large, options=OPTIONS)) as split:
            async for _ in split.frames():
                pids.append(split.pid)
                await asyncio.Event().wait()

    reading = asyncio.create_task(read_first())
    await wait_until(lambda: bool(pids))
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert is_gone(pids[0])


async def test_an_error_in_the_readers_block_ends_the_child(pool: DecodingPool, large: Path) -> None:
    class OursError(Exception):
        pass

    with pytest.raises(OursError):
        async with pool.decode(job(large, options=OPTIONS)) as split:
            raise OursError
    assert is_gone(split.pid)


@pytest.mark.long
async def test_thirty_videos_leave_nothing_open(pool: DecodingPool, clip: Path, large: Path) -> None:
    def open_files() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    async def split_one(number: int) -> None:
        path = large if number % 10 == 0 else clip
        async with pool.decode(job(path)) as split:
            async for _ in split.frames():
                if number % 2:
                    break

    await split_one(0)
    await pool.prepare()
    before = open_files()
    for number in range(30):
        await split_one(number)
    await pool.prepare()
    assert open_files() == before


async def test_several_videos_are_split_at_once(pool: DecodingPool, clip: Path, large: Path) -> None:
    async def count(path: Path) -> int:
        async with pool.decode(job(path)) as split:
            return len(await collect(split))

    assert list(await asyncio.gather(count(clip), count(large), count(clip))) == [7, 12, 7]


async def test_a_spare_is_replaced_while_its_video_lasts(
    pool: DecodingPool, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "REFILL_AFTER", 0.1)
    async with pool.decode(job(clip, options=OPTIONS)):
        assert not pool._spares
        await wait_until(lambda: len(pool._spares) == 1)


async def test_a_spare_is_replaced_after_its_video_is_decoded(
    pool: DecodingPool, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "REFILL_AFTER", 600.0)
    monkeypatch.setattr(process, "REFILL_AFTER_END", 0.1)
    async with pool.decode(job(clip, options=OPTIONS)):
        await asyncio.sleep(0.3)
        assert not pool._spares
    await wait_until(lambda: len(pool._spares) == 1)


async def test_a_spare_that_died_is_replaced(pool: DecodingPool, clip: Path) -> None:
    spare = (await pool._spares[0]).pid
    os.kill(spare, signal.SIGKILL)
    await wait_until(lambda: is_gone(spare))
    await wait_until(lambda: not pool._spares[0].result().is_alive)
    async with pool.decode(job(clip)) as split:
        assert len(await collect(split)) == 7
    assert split.pid != spare


async def test_the_child_knows_no_secret_and_is_confined(
    pool: DecodingPool, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIO_SECRET_KEY", "a-secret")
    await pool.close()
    settings = Settings(decoder_memory=256 << 20)
    async with (
        open_decoding_pool(settings, spares=1, niceness=3) as fresh,
        fresh.decode(job(large, options=OPTIONS)) as split,
    ):
        await anext(split.frames())
        told = Path(f"/proc/{split.pid}")
        names = {entry.split(b"=")[0] for entry in (told / "environ").read_bytes().split(b"\0") if entry}
        status = (told / "status").read_text()
        limits = {
            what: resource.prlimit(split.pid, what)[0]
            for what in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE)
        }
        memory = resource.prlimit(split.pid, resource.RLIMIT_AS)[0]
        group, niceness = os.getpgid(split.pid), os.getpriority(os.PRIO_PROCESS, split.pid)
        session = os.getsid(split.pid)
    assert names == {b"PATH", b"LANG", b"PYTHONPATH", b"PYTHONUNBUFFERED", b"OPENBLAS_NUM_THREADS"}
    assert "NoNewPrivs:\t1" in status
    assert set(limits.values()) == {0, 16}
    assert 256 << 20 < memory < 1 << 30
    assert group == split.pid
    assert session == os.getsid(0), "else its niceness counts nowhere"
    assert niceness == os.getpriority(os.PRIO_PROCESS, 0) + 3


PARENT = """
import asyncio, sys
from app.decoding.process import open_decoding_pool
from app.settings import Settings

async def main():
    async with open_decoding_pool(Settings(), spares=1) as pool:
        print((await pool._spares[0]).pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_parent_that_is_killed_takes_its_children_along() -> None:
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT),
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )
    assert parent.stdout is not None
    child = int(await asyncio.wait_for(parent.stdout.readline(), 30))
    assert not is_gone(child)
    parent.kill()
    await parent.communicate()
    await wait_until(lambda: is_gone(child) or "State:\tZ" in Path(f"/proc/{child}/status").read_text())


def test_the_child_loads_no_stream_and_no_store() -> None:
    heavy = "{'faust', 'pymongo', 'minio', 'aiokafka', 'torch', 'pydantic', 'asyncio.base_events'}"
    code = f"import sys, app.decoding.child; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"
