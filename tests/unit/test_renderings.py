"""Who makes which rendering, how often, and what is left of it; nothing is decoded here."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.clients.s3.storage import Storage
from app.decoding.process import DecoderCrashed
from app.decoding.studio import Studio
from app.domain.documents import ready_document
from app.domain.messages import FrameResult, VideoFacts
from app.domain.objects import (
    derived_folder,
    detection_object,
    input_object,
)
from app.domain.renderings import (
    FrameAsked,
    RenderingAsked,
    RenderingState,
    is_signed,
    read_state,
    rendering_object,
    sign,
    state_object,
)
from app.errors import Missing, Unavailable, Undecodable
from app.rendering import inputs as inputs_module
from app.rendering import making, queue, stills
from app.rendering.inputs import Inputs, open_inputs
from app.rendering.making import Maker
from app.rendering.notes import Notes
from app.rendering.queue import Renderings
from app.rendering.stills import Busy, Stills
from app.settings import Settings
from app.work_folder import WorkFolder
from tests.support.examples import MODEL, facts
from tests.support.memory_s3 import MemoryS3

INPUT = b"a video" * 1000
MADE = b"a rendering" * 1000
ANNOTATED = RenderingAsked("a", "annotated", "videos", input_object("a"))
PREVIEW = RenderingAsked("a", "preview", "videos", input_object("a"))
TOO_LARGE = Undecodable("rendering_too_large", "It is too large.")


def contents(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


class PaintedStudio(Studio):
    """Makes the same of every video, when it is let.

    Attributes:
        made: what was asked for.
        errors: raised by the next calls, one each.
        gate: closed, calls wait before they make anything.
    """

    def __init__(self) -> None:
        super().__init__(Settings())
        self.made: list[Any] = []
        self.errors: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def frame(self, path: Path, number: int, **more: Any) -> bytes:  # noqa: ANN401  # as its own
        await self._make(path, (number, more["anchor"], more["objects"]))
        return b"frame %d" % number

    async def video(
        self,
        path: Path,
        kind: Any,  # noqa: ANN401  # a literal
        *,
        target: Path,
        most: int,  # noqa: ARG002
        result: Path | None,
        on_progress: Callable[[int], None],
    ) -> VideoFacts:
        on_progress(7)
        await self._make(path, (kind, contents(result) if result else None))
        write(target, MADE)
        return facts(3)

    async def _make(self, path: Path, what: object) -> None:
        assert contents(path) == INPUT
        self.made.append(what)
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)


@dataclass
class Bench:
    """A runner's renderings, on servers in memory."""

    s3: MemoryS3
    storage: Storage
    studio: PaintedStudio
    renderings: Renderings
    stills: Stills
    inputs: Inputs
    work: Path
    deleted: set[str] = field(default_factory=set)
    owner: str = "here"

    def names(self) -> set[str]:
        """What there is of the video beside input and result."""
        return {name for name in self.s3.objects("videos") if name.startswith(derived_folder("a"))}

    def notes(self, owner: str) -> Notes:
        return Notes(self.storage, owner, is_deleted=self.is_deleted)

    async def is_deleted(self, video_id: str) -> bool:
        return video_id in self.deleted

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not is_so():  # noqa: ASYNC110  (objects in memory raise no event)
                await asyncio.sleep(0.001)

    async def until_made(self, asked: RenderingAsked) -> None:
        await self.until(lambda: self.names() == {rendering_object(asked.video_id, asked.kind)})


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    s3 = MemoryS3("videos")
    storage, studio = Storage(s3, "videos"), PaintedStudio()
    await storage.put("videos", input_object("a"), INPUT, content_type="video/mp4")

    async def rows() -> AsyncIterator[list[bytes]]:
        yield [msgspec.json.encode(FrameResult(number, number / 25)) for number in (0, 5, 10)]

    result = b"".join(
        [each async for each in ready_document("a", video=facts(3), model=MODEL, options=None, rows=rows())]
    )
    await storage.put("videos", detection_object("a"), result, content_type="application/json")
    work_folder = WorkFolder(tmp_path / "work")
    async with open_inputs(storage, work_folder) as inputs:
        found = Bench(s3, storage, studio, None, None, inputs, work_folder.path)  # type: ignore[arg-type]  # below
        found.stills = Stills(storage, inputs, studio)
        maker = Maker(
            storage=storage,
            inputs=inputs,
            studio=studio,
            work_folder=work_folder,
            notes=found.notes("here"),
            most=1 << 30,
        )
        found.renderings = Renderings(maker)
        running = asyncio.create_task(found.renderings.run())
        yield found
        running.cancel()
        await asyncio.wait([running])
    assert not list(work_folder.path.glob("*"))


async def test_however_often_it_is_asked_for_it_is_made_once(bench: Bench) -> None:
    states = await asyncio.gather(*(bench.renderings.ask(ANNOTATED) for _ in range(20)))
    assert {state.state for state in states} <= {"queued", "making"}
    await bench.until_made(ANNOTATED)
    assert bench.s3.objects("videos")[rendering_object("a", "annotated")] == MADE
    ((kind, result),) = bench.studio.made
    assert (kind, result) == ("annotated", bench.s3.objects("videos")[detection_object("a")])
    facts_of = await bench.storage.stat("videos", rendering_object("a", "annotated"))
    assert facts_of is not None
    assert (facts_of.content_type, dict(facts_of.metadata)) == ("video/mp4", {"kadr-upload": "1"})


async def test_while_it_is_made_s3_says_how_far_it_is(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "RENEW_EVERY", 0.01)
    bench.studio.gate.clear()
    await bench.renderings.ask(ANNOTATED)

    def noted() -> RenderingState | None:
        body = bench.s3.objects("videos").get(state_object("a", "annotated"))
        return read_state(body) if body else None

    await bench.until(lambda: (state := noted()) is not None and state.frames_done == 7)
    state = noted()
    assert state is not None
    assert (state.state, state.frames_total, state.owner) == ("making", 11, "here")
    assert (await bench.renderings.ask(ANNOTATED)).frames_done == 7
    bench.studio.gate.set()
    await bench.until_made(ANNOTATED)


async def test_one_at_a_time_in_the_order_in_which_they_came(bench: Bench) -> None:
    bench.studio.gate.clear()
    await bench.renderings.ask(PREVIEW)
    await bench.until(lambda: len(bench.studio.made) == 1)
    assert (await bench.renderings.ask(ANNOTATED)).state == "queued"
    await asyncio.sleep(0.05)
    assert [kind for kind, _ in bench.studio.made] == ["preview"]
    bench.studio.gate.set()
    both = {rendering_object("a", "preview"), rendering_object("a", "annotated")}
    await bench.until(lambda: bench.names() == both)
    assert [kind for kind, _ in bench.studio.made] == ["preview", "annotated"]


async def test_what_cannot_be_made_is_noted_and_not_tried_again(bench: Bench) -> None:
    bench.studio.errors = [TOO_LARGE]
    await bench.renderings.ask(PREVIEW)
    await bench.until(lambda: not bench.studio.errors)
    await bench.until(lambda: bench.names() == {state_object("a", "preview")})
    state = await bench.notes("another").read(PREVIEW)
    assert state is not None
    await bench.until(lambda: bench.renderings._now is None)
    again = await bench.renderings.ask(PREVIEW)
    assert again.state == "failed"
    assert again.error is not None
    assert again.error.code == "rendering_too_large"
    assert len(bench.studio.made) == 1


async def test_a_child_may_die_once_and_not_twice(bench: Bench) -> None:
    crash = DecoderCrashed("decoder_crashed", "was ended by SIGSEGV")
    bench.studio.errors = [crash]
    await bench.renderings.ask(PREVIEW)
    await bench.until_made(PREVIEW)
    assert len(bench.studio.made) == 2

    bench.studio.errors = [crash, crash]
    await bench.renderings.ask(ANNOTATED)
    await bench.until(lambda: bench.renderings._now is None and not bench.studio.errors)
    state = await bench.renderings.ask(ANNOTATED)
    assert state.error is not None
    assert (state.state, state.error.code) == ("failed", "decoder_crashed")


async def test_a_disk_or_server_that_is_away_is_no_reason_to_fail(bench: Bench) -> None:
    bench.studio.errors = [Unavailable("the work folder", "full")]
    await bench.renderings.ask(PREVIEW)
    await bench.until(lambda: bench.renderings._now is None and len(bench.studio.made) == 1)
    await bench.storage.delete("videos", state_object("a", "preview"))
    await bench.renderings.ask(PREVIEW)
    await bench.until_made(PREVIEW)


async def test_what_another_runner_makes_is_not_made_here(bench: Bench) -> None:
    other = bench.notes("another")
    await other.write(PREVIEW, other.making(5, 9))
    state = await bench.renderings.ask(PREVIEW)
    assert (state.state, state.frames_done, state.owner) == ("making", 5, "another")
    assert bench.studio.made == []
    dead = msgspec.structs.replace(state, until=state.until.replace(year=2020))
    await other.write(PREVIEW, dead)
    await bench.renderings.ask(PREVIEW)
    await bench.until_made(PREVIEW)


@pytest.mark.parametrize("moment", ["before", "while", "at the end"])
async def test_of_a_deleted_video_nothing_is_left(
    bench: Bench, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "RENEW_EVERY", 0.01 if moment == "while" else 60)
    bench.studio.gate.clear()
    if moment == "before":
        bench.deleted.add("a")
    await bench.renderings.ask(PREVIEW)
    if moment != "before":
        await bench.until(lambda: len(bench.studio.made) == 1)
        bench.deleted.add("a")
    if moment != "while":
        bench.studio.gate.set()
    await bench.until(lambda: bench.renderings._now is None and not bench.renderings._waiting)
    await bench.until(lambda: bench.names() == set())


async def test_more_than_may_wait_are_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "MOST_WAITING", 2)
    bench.studio.gate.clear()
    asked = [msgspec.structs.replace(PREVIEW, video_id=name) for name in ("a", "b", "c")]
    await bench.renderings.ask(asked[0])
    await bench.until(lambda: len(bench.studio.made) == 1)
    for each in asked[1:] * 2:
        assert (await bench.renderings.ask(each)).state == "queued"
    with pytest.raises(Busy):
        await bench.renderings.ask(msgspec.structs.replace(PREVIEW, video_id="d"))
    bench.studio.gate.set()


async def test_a_frame_is_drawn_with_the_last_row_up_to_it(bench: Bench) -> None:
    asked = FrameAsked("a", "videos", input_object("a"), 7, boxes=True)
    assert await bench.stills.get(asked) == b"frame 7"
    ((number, anchor, objects),) = bench.studio.made
    assert (number, anchor.frame, anchor.time, objects) == (7, 5, 0.2, [])
    assert await bench.stills.get(asked) == b"frame 7"
    assert len(bench.studio.made) == 1, "it was kept"


async def test_a_frame_beyond_the_end_is_refused_before_anything_is_fetched(bench: Bench) -> None:
    with pytest.raises(Undecodable) as caught:
        await bench.stills.get(FrameAsked("a", "videos", "no/such/object", 11))
    assert caught.value.code == "no_such_frame"


async def test_boxes_without_a_result_and_frames_without_a_video_are_missing(bench: Bench) -> None:
    for asked in (
        FrameAsked("b", "videos", input_object("a"), 0, boxes=True),
        FrameAsked("b", "videos", input_object("b"), 0),
    ):
        with pytest.raises(Missing):
            await bench.stills.get(asked)


async def test_so_many_frames_are_made_at_a_time_and_so_many_wait(bench: Bench) -> None:
    bench.studio.gate.clear()
    asked = [
        FrameAsked("a", "videos", input_object("a"), number % 11, boxes=number > 10) for number in range(18)
    ]
    assert len(asked) == stills.AT_ONCE + stills.MOST_WAITING
    waiting = [asyncio.create_task(bench.stills.get(each)) for each in asked]
    await bench.until(lambda: len(bench.studio.made) == stills.AT_ONCE)
    with pytest.raises(Busy):
        await bench.stills.get(asked[0])
    assert len(bench.studio.made) == stills.AT_ONCE
    bench.studio.gate.set()
    assert await asyncio.gather(*waiting) == [b"frame %d" % each.frame for each in asked]


async def test_a_file_is_fetched_once_for_all_and_goes_a_moment_after_the_last(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs_module, "KEPT_FOR", 0.05)
    name = input_object("a")
    async with bench.inputs.file("videos", name) as one, bench.inputs.file("videos", name) as two:
        assert one == two
    async with bench.inputs.file("videos", name) as three:
        assert three == one
    await bench.until(lambda: not one.path.exists())
    async with bench.inputs.file("videos", name) as four:
        assert four != one
        assert contents(four.path) == INPUT


async def test_a_file_that_is_not_there_leaves_nothing(bench: Bench) -> None:
    for _ in range(2):
        with pytest.raises(Missing):
            async with bench.inputs.file("videos", "no/such"):
                pass
    bench.s3.is_away = True
    with pytest.raises(Unavailable):
        async with bench.inputs.file("videos", input_object("a")):
            pass
    bench.s3.is_away = False
    async with bench.inputs.file("videos", input_object("a")) as source:
        assert contents(source.path) == INPUT


def test_only_who_knows_the_secret_can_sign() -> None:
    body = msgspec.json.encode(PREVIEW)
    assert is_signed("secret", body, sign("secret", body))
    assert not is_signed("secret", body, sign("other", body))
    assert not is_signed("secret", body + b" ", sign("secret", body))
    assert not is_signed("secret", body, "")
    assert not is_signed("secret", body, "ключ")
