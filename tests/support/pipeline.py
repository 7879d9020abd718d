"""A running Kadr as a test sees it: from outside, over HTTP, and straight into Mongo, S3 and Kafka."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
import pymongo

from app.local.stack import LocalStack
from app.settings import Settings

DONE_SECONDS = 120.0
"""How long a short clip may take on a machine that does other things as well."""


@dataclass(frozen=True)
class Pipeline:
    """A running Kadr."""

    stack: LocalStack
    settings: Settings
    api: httpx.Client
    mongo: "pymongo.MongoClient[dict[str, Any]]"

    @classmethod
    @contextlib.contextmanager
    def connect(cls, stack: LocalStack, settings: Settings) -> Iterator[Self]:
        """Open what a test looks through."""
        with (
            httpx.Client(base_url=settings.api_url, timeout=30, trust_env=False) as api,
            pymongo.MongoClient[dict[str, Any]](
                settings.mongo_uri.get_secret_value(), tz_aware=True
            ) as mongo,
        ):
            yield cls(stack, settings, api, mongo)

    def submit(self, path: Path) -> str:
        """Upload a video and return its id."""
        with path.open("rb") as file:
            answer = self.api.post("/api/upload_video", files={"file": (path.name, file)})
        assert answer.status_code == httpx.codes.OK, answer.text
        found = answer.json()
        assert found["status"] == "ok"
        return str(found["event_id"])

    def result(self, video_id: str) -> dict[str, Any]:
        """Return what the API says of a video."""
        answer = self.api.get(f"/api/result_video/{video_id}")
        assert answer.status_code == httpx.codes.OK, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def wait_for(self, video_id: str, *, seconds: float = DONE_SECONDS) -> dict[str, Any]:
        """Return the result of a video once it is ready or has failed."""
        found: dict[str, Any] = {}

        def is_done() -> bool:
            found.update(self.result(video_id))
            return found["status"] in {"ready", "failed"}

        self.wait_until(is_done, seconds=seconds, otherwise=lambda: f"{video_id} is {found}")
        return found

    def wait_until(
        self,
        is_so: Callable[[], bool],
        *,
        seconds: float = DONE_SECONDS,
        otherwise: Callable[[], str] = lambda: "it is not so",
    ) -> None:
        """Return as soon as something is so; fail with what was seen when it is not so in time."""
        deadline = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < deadline, otherwise()
            time.sleep(0.1)

    def record(self, video_id: str) -> dict[str, Any] | None:
        """Return what runner_db holds of a video."""
        return self.mongo["runner_db"]["runner_predictions"].find_one({"_id": video_id})

    def page(self, role: str, path: str) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON of a worker's page."""
        port = getattr(self.stack.ports, role)
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=30, trust_env=False).json()
