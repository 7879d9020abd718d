"""A video cancelled on a running Kadr: where it was, and for how long something of it still moved."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx

from tests.support.children import decoding
from tests.support.pipeline import Pipeline
from tests.support.plain_http import PLAIN
from tests.support.task_log import TaskLog

PROMISED: Final = 5.0
"""Seconds from the answer until nothing of a cancelled video moves any more."""

LOOK_EVERY: Final = 0.02


@dataclass(frozen=True)
class Cancelled:
    """How a cancel went.

    Attributes:
        video_id: whose.
        stage: where the video was just before.
        status: of the answer.
        shown: seconds from the answer until the status was `cancelled`.
        child: seconds from the answer for which a decoding child of the video lived.
        task: seconds from the answer until its last task was sent.
    """

    video_id: str
    stage: str
    status: int
    shown: float = 0.0
    child: float = 0.0
    task: float = 0.0

    @property
    def rest(self) -> float:
        """Seconds from the answer until the status held and nothing moved."""
        return max(self.shown, self.child, self.task)


@dataclass(frozen=True)
class Watch:
    """A running Kadr, and what is seen of its runners.

    Attributes:
        tasks: what is sent of each video.
        runners: process ids beside that of the stack's own.
        seconds: for which a cancelled video is looked at.
    """

    pipeline: Pipeline
    tasks: TaskLog
    runners: Sequence[int] = ()
    seconds: float = PROMISED + 1.0

    def cancel(self, video_id: str, size: int) -> Cancelled:
        """Cancel a video, whose file has so many bytes as no other, and see what comes of it."""
        stage = self.stage(video_id, size)
        url = self.pipeline.settings.api_url
        with httpx.Client(base_url=url, timeout=30, trust_env=False, verify=PLAIN) as api:
            status = api.post(f"/api/v1/videos/{video_id}/cancel").status_code
            answered = time.time()
            if status != httpx.codes.ACCEPTED:
                return Cancelled(video_id, stage, status)
            shown, child = None, 0.0
            while time.time() - answered < self.seconds:
                if shown is None and self._is_shown(api, video_id):
                    shown = time.time() - answered
                if self.is_decoded(size):
                    child = time.time() - answered
                time.sleep(LOOK_EVERY)
            assert shown is not None, f"{video_id} is not shown as cancelled"
            assert self._is_shown(api, video_id)
        task = max(0.0, self.tasks.of(video_id).last - answered)
        return Cancelled(video_id, stage, status, shown, child, task)

    def is_decoded(self, size: int) -> bool:
        """Return whether a child has a video of so many bytes open."""
        stack = self.pipeline.stack
        return any(decoding([stack.pid_of("runner"), *self.runners], stack.folder.root / "work", size))

    def stage(self, video_id: str, size: int) -> str:
        """Return where a video is, as the databases and the processes say."""
        document: Any = self.pipeline.mongo["main_db"]["outbox"].find_one({"_id": video_id})
        record = self.pipeline.record(video_id)
        if record is None:
            return "new" if document["status"] == "new" else "sent"
        if record["status"] != "processing":
            return {"predictable": "writing"}.get(record["status"], str(record["status"]))
        if record["split_ended"]:
            return "detecting"
        if self.is_decoded(size):
            return "decoding"
        return "fetching" if record["split_owner"] else "queued"

    def _is_shown(self, api: httpx.Client, video_id: str) -> bool:
        found = api.get(f"/api/result_video/{video_id}").raise_for_status().json()
        return bool(found.get("error", {}).get("code") == "cancelled")
