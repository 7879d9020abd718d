"""Single frames, some at a time, those asked for lately kept."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from app.clients.s3.storage import Storage
from app.decoding.rendering_orders import Anchor
from app.decoding.studio import Studio
from app.domain.renderings import FrameAsked, rendering_failure
from app.domain.results import Row
from app.errors import RetryLater, Undecodable
from app.rendering.findings import Findings, open_findings, require_findings
from app.rendering.inputs import Inputs
from app.telemetry.subject import about

AT_ONCE: Final = 2
"""Frames that are looked for at a time, each by a child of its own."""

MOST_WAITING: Final = 16
"""Frames that may wait for that; a page that shows a strip of them asks for so many."""

KEPT_BYTES: Final = 32 << 20
"""Pictures that are kept in memory: some hundred at 1080p."""


class Busy(RetryLater):
    """As many frames are asked for as may wait."""


class Stills:
    """Makes frames.

    Args:
        storage: where results are.
        inputs: files of videos.
        studio: makes pictures.
    """

    def __init__(self, storage: Storage, inputs: Inputs, studio: Studio) -> None:
        self._storage = storage
        self._inputs = inputs
        self._studio = studio
        self._lane = asyncio.Semaphore(AT_ONCE)
        self._asked = 0
        self._kept: OrderedDict[tuple[FrameAsked, str], bytes] = OrderedDict()

    async def get(self, asked: FrameAsked) -> bytes:
        """Return a frame as a JPEG.

        Raises:
            Busy: as many are asked for as may wait.
            Missing: the video, or the result where boxes are wanted, is not there.
            Undecodable: there is no such frame, or the video is none.
            DecoderCrashed: looking for it has ended its child.
            Unavailable: S3 does not answer, or the disk has no room.
        """
        async with self._place():
            find = require_findings if asked.boxes else open_findings
            findings = await find(self._storage, asked.bucket, asked.video_id)
            key = (asked, findings.etag if findings else "")
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            picture = await self._make(asked, findings)
            self._keep(key, picture)
            return picture

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._asked >= AT_ONCE + MOST_WAITING:
            raise Busy("as many frames are asked for as may wait")
        self._asked += 1
        try:
            async with self._lane:
                yield
        finally:
            self._asked -= 1

    async def _make(self, asked: FrameAsked, findings: Findings | None) -> bytes:
        row = await self._row(asked.frame, findings)
        anchor = Anchor(row.frame, row.time) if row is not None and row.time is not None else None
        objects = row.objects if row is not None and asked.boxes else []
        async with self._inputs.file(asked.bucket, asked.object) as source:
            with about(asked.video_id):
                return await self._studio.frame(source.path, asked.frame, anchor=anchor, objects=objects)

    async def _row(self, number: int, findings: Findings | None) -> Row | None:
        if findings is None:
            return None
        frames = (await findings.facts()).frames
        if number >= frames:
            failure = rendering_failure("no_such_frame", f"It has {frames}.")
            raise Undecodable(failure.code, failure.message)
        return await findings.at(number)

    def _keep(self, key: tuple[FrameAsked, str], picture: bytes) -> None:
        self._kept[key] = picture
        while sum(map(len, self._kept.values())) > KEPT_BYTES:
            self._kept.popitem(last=False)
