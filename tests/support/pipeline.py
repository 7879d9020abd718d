"""A running Kadr as a test sees it: from outside, over HTTP, and straight into Mongo, S3 and Kafka."""

import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import httpx
import pymongo
from aiokafka import AIOKafkaProducer

from app.clients.kafka.broker import open_broker
from app.local.ports import free_ports
from app.local.processes import ROLES, create_worker
from app.local.stack import LocalStack
from app.settings import Settings
from tests.support.plain_http import PLAIN
from tests.support.processes import end_process

DONE_SECONDS = 120.0
"""How long a short clip may take on a machine that does other things as well."""

NOTHING: Mapping[str, str] = MappingProxyType({})


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

    def publish(self, topic: str, key: bytes, value: bytes) -> None:
        """Write a message, whatever is in it, as an outside program could."""

        async def send() -> None:
            servers = self.settings.kafka_bootstrap_servers
            async with AIOKafkaProducer(bootstrap_servers=servers, max_request_size=5 << 20) as producer:
                await producer.send_and_wait(topic, value=value, key=key)

        asyncio.run(send())

    def has_no_members(self, role: str) -> bool:
        """Return whether the broker has expelled every worker of a role."""

        async def look() -> int:
            async with open_broker(self.settings.kafka_bootstrap_servers) as broker:
                return await broker.members(role)

        return asyncio.run(look()) == 0

    @contextlib.contextmanager
    def another_worker(
        self, role: str, name: str, *, ready_within: float = 60.0, given: Mapping[str, str] = NOTHING
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run one more worker of a role, ready, until the block ends; then stop it in an orderly way."""
        with self.started_worker(role, name, given=given) as (process, port):
            self.wait_until(
                partial(_is_ready, port), seconds=ready_within, otherwise=lambda: f"{name} is not ready"
            )
            yield process

    @contextlib.contextmanager
    def changed_worker(self, role: str, given: Mapping[str, str]) -> Iterator[None]:
        """Run the worker of a role with other settings, in its own place, until the block ends."""
        self.stack.stop_program(role)
        port = getattr(self.stack.ports, role)
        with self.started_worker(role, f"{role}-changed", port=port, given=given):
            self.wait_until(partial(_is_ready, port), otherwise=lambda: f"{role} is not ready")
            yield
        self.stack.start_program(role)

    @contextlib.contextmanager
    def second_workers(
        self,
        roles: Sequence[str] = ROLES,
        *,
        name: str = "2",
        module: str = "",
        variables: Mapping[str, str] = NOTHING,
    ) -> Iterator[None]:
        """Run a second worker of each role, ready, until the block ends; then stop it in an orderly way.

        Args:
            roles: which.
            name: what makes their names differ from those of the first ones.
            module: with the Faust app of them all, which `NEWER_ROLE` tells the role; its own when not said.
            variables: of their environment.
        """
        with contextlib.ExitStack() as opened:
            started = [
                opened.enter_context(
                    self.started_worker(
                        role, f"{role}-{name}", module=module, given={"NEWER_ROLE": role, **variables}
                    )
                )
                for role in roles
            ]
            for _, port in started:
                self.wait_until(partial(_is_ready, port), seconds=120)
            yield

    @contextlib.contextmanager
    def started_worker(
        self, role: str, name: str, *, port: int = 0, module: str = "", given: Mapping[str, str] = NOTHING
    ) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
        """Start a worker with a port, unless one is named, and a log of its own; yield it with its port.

        It need not be ready; when the block ends it is stopped in an orderly way.
        """
        environment = {**os.environ, **self.stack.given, **self.stack.environment(), **given}
        with free_ports() as ports:
            port = port or getattr(ports, role)
            worker = create_worker(self.stack.folder, role, port=port, name=name, module=module)
            with self.stack.folder.log(name).open("ab") as log:
                process = subprocess.Popen(worker.command, env=environment, stdout=log, stderr=log)
            try:
                yield process, port
            finally:
                end_process(process)

    def page(self, role: str, path: str) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON of a worker's page."""
        port = getattr(self.stack.ports, role)
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=30, trust_env=False, verify=PLAIN).json()


def _is_ready(port: int) -> bool:
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=5, trust_env=False, verify=PLAIN)
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.OK
