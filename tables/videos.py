"""The head of each video and the bits that say which of its sampled frames have arrived."""

from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Struct

from app.domain.messages import Failure, ModelFacts, Options, VideoFacts
from app.domain.progress import CHUNK, chunk_spans, clear_bits, count_bits, missing_offsets, set_bits
from app.worker import Worker

State: TypeAlias = Literal["open", "stored", "failed", "cancelled", "deleted"]

OTHER_MODELS: Final = 8
"""How many models beside the first are remembered."""

CLOSED: Final = frozenset({"stored", "failed", "cancelled", "deleted"})
"""States after which a frame or an end of the same attempt changes nothing."""


class Head(Struct, frozen=True, omit_defaults=True):
    """What is known of a video while it is gathered; afterwards its tombstone.

    Attributes:
        attempt: the one that is gathered; messages of an older one are dropped.
        state: open while frames may come.
        total: sampled frames of the video; None until the split has ended.
        chunks: how many chunks of bits were begun.
        model: the one that looked first.
        other_models: those that looked at some of the frames, too: inference was given another one meanwhile,
            or workers run it in different ways. `OTHER_MODELS` at most.
        options: what the client chose; None until the split has ended, and in what v0.1 has written.
        changed_at: seconds since the epoch when the state was set.
    """

    attempt: int
    state: State = "open"
    vid_stride: int = 5
    total: int | None = None
    chunks: int = 0
    bucket: str = ""
    object: str = ""
    input_owned: bool = False
    model: ModelFacts | None = None
    video: VideoFacts | None = None
    error: Failure | None = None
    changed_at: float = 0.0
    options: Options | None = None
    other_models: tuple[ModelFacts, ...] = ()

    def looked_at_by(self, model: ModelFacts) -> "Head":
        """Return what is known once this model has looked, too."""
        if self.model is None:
            return msgspec.structs.replace(self, model=model)
        if model in (self.model, *self.other_models) or len(self.other_models) >= OTHER_MODELS:
            return self
        return msgspec.structs.replace(self, other_models=(*self.other_models, model))

    @property
    def first(self) -> int:
        """The index of the first sampled frame: more than 0 where a window begins later than the video."""
        frame = self.video.first_frame if self.video else UNSET
        return 0 if frame is UNSET else frame // self.vid_stride

    @property
    def chosen(self) -> Options:
        """What the client chose, as far as is known."""
        return self.options or Options(vid_stride=self.vid_stride)

    def tombstone(self, now: float) -> "Head":
        """Return what stays of a finished video: that it is finished."""
        return Head(attempt=self.attempt, state=self.state, changed_at=now)

    @property
    def is_tombstone(self) -> bool:
        """Whether nothing of the video but its end is remembered."""
        return self.state != "open" and not self.chunks and not self.bucket


class _Bits(Struct, frozen=True, array_like=True):
    attempt: int
    bits: bytes


class Videos:
    """Heads and bits of the partitions that this worker owns.

    Args:
        worker: whose table it is.
    """

    def __init__(self, worker: Worker[object]) -> None:
        self.table = worker.durable_table(
            "videos", description="the head of each video, and which of its frames have arrived"
        )

    def head(self, video_id: str) -> Head | None:
        """Return the head of a video; None when nothing is known of it."""
        value: bytes | None = self.table.get(video_id.encode())
        return None if value is None else msgspec.json.decode(value, type=Head)

    def put_head(self, video_id: str, head: Head) -> None:
        """Write the head of a video."""
        self.table[video_id.encode()] = msgspec.json.encode(head)

    def forget(self, video_id: str) -> None:
        """Remove a head: from now on nothing is known of the video."""
        del self.table[video_id.encode()]  # as in `Frames.delete`

    def bits(self, video_id: str, attempt: int, chunk: int) -> bytes:
        """Return which sampled frames of a chunk have arrived; those of another attempt do not count."""
        value: bytes | None = self.table.get(_chunk_key(video_id, chunk))
        if value is None:
            return b""
        found = msgspec.msgpack.decode(value, type=_Bits)
        return found.bits if found.attempt == attempt else b""

    def add_bits(self, video_id: str, attempt: int, indexes: list[int]) -> int:
        """Note that sampled frames have arrived; return how many chunks that needs."""
        by_chunk = _by_chunk(indexes)
        for chunk, offsets in by_chunk.items():
            self._put_bits(video_id, attempt, chunk, set_bits(self.bits(video_id, attempt, chunk), offsets))
        return max(by_chunk, default=-1) + 1

    def clear_bits(self, video_id: str, attempt: int, indexes: list[int]) -> None:
        """Note that sampled frames have not arrived after all."""
        for chunk, offsets in _by_chunk(indexes).items():
            self._put_bits(video_id, attempt, chunk, clear_bits(self.bits(video_id, attempt, chunk), offsets))

    def _put_bits(self, video_id: str, attempt: int, chunk: int, bits: bytes) -> None:
        self.table[_chunk_key(video_id, chunk)] = msgspec.msgpack.encode(_Bits(attempt, bits))

    def count(self, video_id: str, head: Head) -> int:
        """Return how many sampled frames have arrived."""
        return sum(count_bits(self.bits(video_id, head.attempt, chunk)) for chunk in range(head.chunks))

    def arrived(self, video_id: str, attempt: int, indexes: list[int]) -> set[int]:
        """Return which of these sampled frames have arrived already."""
        chunks = {index // CHUNK for index in indexes}
        bits = {chunk: int.from_bytes(self.bits(video_id, attempt, chunk), "little") for chunk in chunks}
        return {index for index in indexes if bits[index // CHUNK] >> index % CHUNK & 1}

    def present(self, video_id: str, head: Head) -> Iterator[int]:
        """Yield the indexes of the sampled frames that have arrived, in order."""
        for chunk in range(head.chunks):
            bits = int.from_bytes(self.bits(video_id, head.attempt, chunk), "little")
            for offset in range(bits.bit_length()):
                if bits >> offset & 1:
                    yield chunk * CHUNK + offset

    def missing(self, video_id: str, head: Head) -> Iterator[int]:
        """Yield the indexes of the sampled frames that have not arrived, in order; needs the total."""
        for chunk, offsets in chunk_spans(head.first, head.total or 0).items():
            for offset in missing_offsets(self.bits(video_id, head.attempt, chunk), offsets):
                yield chunk * CHUNK + offset

    def is_complete(self, video_id: str, head: Head) -> bool:
        """Return whether every sampled frame has arrived."""
        if head.total is None or self.count(video_id, head) < head.total:  # cheap, and mostly the answer
            return False
        return next(self.missing(video_id, head), None) is None

    def delete_chunk(self, video_id: str, chunk: int) -> None:
        """Remove the bits of a chunk."""
        del self.table[_chunk_key(video_id, chunk)]  # as in `Frames.delete`

    def tombstones_before(self, oldest: float) -> list[tuple[str, int]]:
        """Return (video id, attempt) of tombstones set before a time (seconds since the epoch)."""
        found = []
        for key, value in self.table.items():
            if b"/" not in key:
                head = msgspec.json.decode(value, type=Head)
                if head.is_tombstone and head.changed_at < oldest:
                    found.append((key.decode(), head.attempt))
        return found

    async def durable(self) -> None:
        """Return once everything written so far is on the broker."""
        await self.table.durable()


def _by_chunk(indexes: list[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for index in indexes:
        chunk, offset = divmod(index, CHUNK)
        found.setdefault(chunk, []).append(offset)
    return found


def _chunk_key(video_id: str, chunk: int) -> bytes:
    return f"{video_id}/{chunk:06d}".encode()
