"""Messages that are poison, that kill their worker, that come twice, out of order or late, or never."""

import asyncio
import base64
import json
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from random import Random
from typing import Any, Final

import httpx
import numpy as np

from app.clients.s3.storage import open_storage
from app.decoding.picture import encode_jpeg
from app.domain.messages import FrameSampled, Message, SplitEnded, VideoAsked, VideoFacts, encode
from app.errors import Missing, RetryLater
from app.topics import (
    INFERENCE_RESULTS,
    INFERENCE_TASKS,
    OUTBOX_EVENTS,
    STREAMS,
    VIDEO_GAPS,
    VIDEO_RESULTS,
    VIDEO_SPLITS,
    Contract,
)
from tests.faults.bypass import Bypass, Copy
from tests.faults.clips import sampled_of
from tests.faults.fault import Fault, Field
from tests.faults.ledger import READS

SET_ASIDE_WITHIN: Final = 60.0
"""Seconds for which one message may hold its partition up, whatever it does."""

ENDED_WITHIN: Final = 120.0
"""Seconds until a video ends of which messages were lost, or whose split kills its runner."""

UNREAD_WITHIN: Final = 60.0
"""Seconds until something waits for a role that does not run."""

GAP_WITHIN: Final = 90.0
"""Seconds until missing frames are asked for: the watchdog's clock, and some for a busy machine."""

CRASHES: Final = ("segfault", "exit")
"""How a worker dies of a message: no handler runs."""

BODIES: Final = (
    b"\xff\xfe this is no JSON",
    b'{"video_id": 7, "attempt": "one"}',
    b'"' + b"x" * (4 << 20) + b'"',
)
"""What cannot be read: no JSON, another shape, and 4 MB."""

READER: Final = {topic.name: role for role, topics in READS.items() for topic in topics}
"""Which role reads a topic."""

CRASHED: Final = "worker_crashed"
CLIP: Final = "short-1"


# Poison


def poison(topic: Contract[Any], at: Field, random: Random) -> None:
    """Publish what cannot be read, and wait until it is set aside."""
    copies = [Copy(_draw_id(random).encode(), body, ()) for body in random.sample(BODIES, len(BODIES))]
    at.poison.update(each.key for each in copies if each.key)
    Bypass(at.pipeline.settings).publish(topic.name, copies)
    _wait_until_set_aside(at, {each.key for each in copies if each.key}, "malformed")


def poison_picture(at: Field, random: Random) -> None:
    """Publish a video of somebody else with a picture that is no JPEG: that is the error of its frame."""
    video_id, bad = _draw_id(random), random.choice((0, 5))
    pictures = {frame: encode_jpeg(np.zeros((288, 512, 3), np.uint8)) for frame in (0, 5)}
    for frame, picture in (pictures | {bad: b"no JPEG"}).items():
        image = base64.b64encode(picture).decode()
        task = FrameSampled(video_id, 1, frame, frame / 25, 512, 288, image)
        _tell(at, INFERENCE_TASKS, f"{video_id}/1/{frame}", task)
    facts, name = VideoFacts(512, 288, 25.0, 0.4, 10, 2), f"elsewhere/{video_id}"
    _tell(at, VIDEO_SPLITS, video_id, SplitEnded(video_id, "split", 1, "videos", name, video=facts))
    try:
        found = _stored(at, f"detection/{video_id}.json")
        errors = {each["frame"]: each["error"]["code"] for each in found["prediction"] if "error" in each}
        assert errors == {bad: "undecodable_picture"}, found
    finally:  # nobody else would ever remove it
        _tell(at, OUTBOX_EVENTS, video_id, VideoAsked(video_id, "delete", 1, "videos", name))


def _tell(at: Field, topic: Contract[Any], key: str, message: Message) -> None:
    Bypass(at.pipeline.settings).publish(topic.name, [Copy(key.encode(), encode(message), ())])


def _stored(at: Field, name: str) -> dict[str, Any]:
    """Return a JSON object once it is in S3."""

    async def look() -> None:
        async with open_storage(at.pipeline.settings) as storage:
            with suppress(Missing, RetryLater):
                found.append(json.loads(await storage.get(at.pipeline.settings.buckets[0], name)))

    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        asyncio.run(look())
        return bool(found)

    at.pipeline.wait_until(is_there, seconds=SET_ASIDE_WITHIN, otherwise=lambda: f"{name} is not there")
    return found[0]


# Twice, out of order, late


def double(topic: Contract[Any], at: Field, random: Random) -> None:
    """Publish every message that passes once more, at once."""
    bypass, submitting = Bypass(at.pipeline.settings), _something_passes(topic, at, random)
    count = bypass.double(topic, seconds=random.uniform(4, 8), until_any=GAP_WITHIN)
    submitting.join()
    assert count, f"nothing passed through {topic.name}"


def reorder(topic: Contract[Any], at: Field, random: Random) -> None:
    """Publish what has passed once more, in another order, while its videos are in work."""
    bypass, submitting = Bypass(at.pipeline.settings), _something_passes(topic, at, random)
    copies = bypass.watch(topic, seconds=random.uniform(1, 4), until_any=GAP_WITHIN)
    submitting.join()
    assert copies, f"nothing passed through {topic.name}"
    random.shuffle(copies)
    bypass.publish(topic.name, copies)


def delay(topic: Contract[Any], at: Field, random: Random) -> None:
    """Publish the messages of a video once more after it has ended."""
    bypass, submitting = Bypass(at.pipeline.settings), _something_passes(topic, at, random)
    copies = bypass.watch(topic, seconds=random.uniform(4, 8), until_any=GAP_WITHIN)
    submitting.join()
    ended = set[str]()

    def have_ended() -> bool:
        ended.update(each for each in {copy.video_id for copy in copies} if _end_of(at, each))
        return bool(ended)

    at.pipeline.wait_until(have_ended, seconds=ENDED_WITHIN, otherwise=lambda: "no video has ended")
    late = [each for each in copies if each.video_id in ended]
    random.shuffle(late)
    bypass.publish(topic.name, late)


def _something_passes(topic: Contract[Any], at: Field, random: Random) -> threading.Thread:
    """Let a video pass through a topic; frames are asked for again only after some were lost."""
    if topic is VIDEO_GAPS:
        lose(INFERENCE_RESULTS, at, random)
    thread = threading.Thread(target=at.submit, args=(CLIP,), daemon=True)
    thread.start()
    return thread


# Lost


def lose(topic: Contract[Any], at: Field, random: Random) -> None:
    """Let the readers of a topic go on behind messages that they have not read."""
    if topic is VIDEO_RESULTS:
        lose_announcement(at, random)
        return
    bypass, role, stack = Bypass(at.pipeline.settings), READER[topic.name], at.pipeline.stack
    stack.stop_program(role)
    try:
        at.submit(random.choice((CLIP, "short-2")))
        at.pipeline.wait_until(
            lambda: bypass.unread(role, topic) > 0,
            seconds=UNREAD_WITHIN,
            otherwise=lambda: f"nothing waits in {topic.name}",
        )
        time.sleep(random.uniform(0, 2))
        _skip(at, topic, random.randint)
    finally:
        stack.start_program(role)


def lose_announcement(at: Field, random: Random) -> None:
    """Lose that a video is complete, and what would make the aggregator say so again.

    Who announces also reads what was announced, so that nothing waits there but after a sudden death.
    """
    bypass, role, stack = Bypass(at.pipeline.settings), READER[VIDEO_RESULTS.name], at.pipeline.stack
    at.arm("gather.announced")
    at.submit(CLIP)
    at.pipeline.wait_until(lambda: bool(at.hits("gather.announced")), seconds=UNREAD_WITHIN)
    stack.stop_program(role)
    try:
        for topic in READS[role]:
            if bypass.unread(role, topic):
                _skip(at, topic, random.randint)
    finally:
        stack.start_program(role)


def _skip(at: Field, topic: Contract[Any], choose: Callable[[int, int], int]) -> None:
    role = READER[topic.name]
    # Only a group without members takes offsets from outside.
    at.pipeline.wait_until(lambda: at.pipeline.has_no_members(role), seconds=60)
    assert Bypass(at.pipeline.settings).skip(role, topic, choose) > 0


def _all(_first: int, last: int) -> int:
    """Skip everything that is unread."""
    return last


# Messages that kill


def crash(topic: Contract[Any], at: Field, random: Random) -> None:
    """Let one message kill its worker each time, until it is set aside."""
    role, place, stack = READER[topic.name], f"handle.{topic.name}", at.pipeline.stack
    stack.stop_program(role)
    try:
        video_id = at.submit(CLIP)
        key = f"{video_id}/1/0" if topic is INFERENCE_TASKS else video_id
        _excuse(at, video_id)
        at.poison.add(key.encode())
        at.arm(place, action=random.choice(CRASHES), subject=key, times=0)
    finally:
        stack.start_program(role)
    try:
        _wait_until_set_aside(at, {key.encode()}, CRASHED)
    finally:
        at.disarm(place)


def crash_gap(at: Field, random: Random) -> None:
    """Let the question for lost frames kill the runner each time, until it is set aside."""
    place, stack = f"handle.{VIDEO_GAPS.name}", at.pipeline.stack
    bypass = Bypass(at.pipeline.settings)
    stack.stop_program("results")
    try:
        video_id = at.submit(CLIP)
        _excuse(at, video_id)
        at.poison.add(video_id.encode())
        at.arm(place, action=random.choice(CRASHES), subject=video_id, times=0)
        at.pipeline.wait_until(
            lambda: (
                bool((at.pipeline.record(video_id) or {}).get("split_ended"))
                and not bypass.unread("inference", INFERENCE_TASKS)
            ),
            seconds=UNREAD_WITHIN,
        )
        _skip(at, INFERENCE_RESULTS, _all)
    finally:
        stack.start_program("results")
    try:
        at.pipeline.wait_until(lambda: bool(at.hits(place)), seconds=GAP_WITHIN)
        _wait_until_set_aside(at, {video_id.encode()}, CRASHED)
    finally:
        at.disarm(place)


def crash_outbox(at: Field, random: Random) -> None:
    """Let one document kill the outbox worker each time, until its video fails."""
    stack, place = at.pipeline.stack, "outbox.claimed"
    stack.stop_program("outbox")
    try:
        video_id = at.submit(CLIP)
        at.excused[video_id] = {CRASHED}
        at.arm(place, action=random.choice(CRASHES), subject=video_id, times=0)
    finally:
        stack.start_program("outbox")
    try:
        _wait_until_failed(at, video_id, CRASHED, seconds=SET_ASIDE_WITHIN)
    finally:
        at.disarm(place)


def crash_split(at: Field, random: Random) -> None:
    """Let one split kill the whole runner each time, not only its child, until its video fails."""
    stack, place = at.pipeline.stack, "split.began"
    stack.stop_program("runner")
    try:
        video_id = at.submit(CLIP)
        at.excused[video_id] = {"decoder_crashed"}
        at.arm(place, action=random.choice(CRASHES), subject=video_id, times=0)
    finally:
        stack.start_program("runner")
    try:
        _wait_until_failed(at, video_id, "decoder_crashed", seconds=ENDED_WITHIN)
    finally:
        at.disarm(place)


def _excuse(at: Field, video_id: str) -> None:
    """Let a video fail because of a crash, or frames of it count as errors."""
    at.excused[video_id] = {CRASHED, "frames_lost"}
    frames = range(sampled_of(at.clips[CLIP]))
    at.poison.update(f"{video_id}/1/{5 * index}".encode() for index in frames)


def _end_of(at: Field, video_id: str) -> dict[str, Any] | None:
    """Return how a video has ended; None when it has not, or nobody knows it."""
    try:
        answer = at.pipeline.api.get(f"/api/result_video/{video_id}")
    except httpx.HTTPError:
        return None
    found: dict[str, Any] = answer.json()
    return found if found.get("status") in {"ready", "failed"} else None


def _wait_until_set_aside(at: Field, keys: set[bytes], code: str) -> None:
    bypass = Bypass(at.pipeline.settings)

    def are_set_aside() -> bool:
        found = bypass.set_aside()
        return all(found.get(key) == code for key in keys)

    at.pipeline.wait_until(
        are_set_aside, seconds=SET_ASIDE_WITHIN, otherwise=lambda: f"not set aside as {code}: {keys}"
    )


def _wait_until_failed(at: Field, video_id: str, code: str, *, seconds: float) -> None:
    def has_failed() -> bool:
        end = _end_of(at, video_id)
        return end is not None and end.get("error", {}).get("code") == code

    at.pipeline.wait_until(has_failed, seconds=seconds, otherwise=lambda: f"{video_id} has not failed")


def _draw_id(random: Random) -> str:
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


FAULTS: tuple[Fault, ...] = (
    *(Fault("poison", topic.name, partial(poison, topic)) for topic in STREAMS),
    Fault("poison", "picture", poison_picture),
    *(Fault("double", topic.name, partial(double, topic)) for topic in STREAMS),
    *(Fault("reorder", topic.name, partial(reorder, topic)) for topic in STREAMS),
    *(Fault("late", topic.name, partial(delay, topic)) for topic in STREAMS),
    *(Fault("lose", topic.name, partial(lose, topic)) for topic in STREAMS if topic is not VIDEO_GAPS),
    *(Fault("crash", topic.name, partial(crash, topic)) for topic in STREAMS if topic is not VIDEO_GAPS),
    Fault("crash", VIDEO_GAPS.name, crash_gap),
    Fault("crash", "outbox", crash_outbox),
    Fault("crash", "split", crash_split),
)
