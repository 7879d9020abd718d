"""`kadr doctor` on a running Kadr: all is well, and each thing that is really made wrong is said."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from app.cli.doctor.findings import Finding
from app.cli.doctor.kafka import look_at_kafka
from app.cli.doctor.mongo import look_at_main
from app.cli.doctor.processes import look_at_process
from app.settings import Settings
from app.topics import STREAM
from tests.support.pipeline import Pipeline

pytestmark = [pytest.mark.servers, pytest.mark.timeout(240)]


def doctor(pipeline: Pipeline, **changes: str) -> tuple[int, list[dict[str, str]]]:
    """Run `kadr doctor --json`; return its exit code and what it found."""
    environment = os.environ | pipeline.stack.environment() | {"MIN_FREE_BYTES": "0"} | changes
    command = (sys.executable, "-m", "app.cli", "doctor", "--json")
    ended = subprocess.run(command, env=environment, check=False, timeout=90, capture_output=True, text=True)
    assert ended.stderr == ""
    return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()]


@asynccontextmanager
async def topic_of(settings: Settings, name: str, config: Mapping[str, str]) -> AsyncIterator[None]:
    """Keep a topic otherwise until the block ends; nobody but a worker that starts looks at that."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs=dict(config))])
        yield
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs=dict(STREAM))])
    finally:
        await admin.close()


def not_ok(found: list[Finding]) -> list[Finding]:
    return [each for each in found if each.verdict != "ok"]


def test_a_kadr_that_runs_is_well(pipeline: Pipeline) -> None:
    code, found = doctor(pipeline)
    bad = [each for each in found if each["verdict"] not in {"ok", "unknown"} and each["check"] != "sandbox"]
    assert (code, bad) == (0, [])
    seen = {each["check"] for each in found}
    assert seen >= {"versions", "settings", "kafka", "topics", "workers", "mongo", "indexes", "s3", "disk"}
    assert seen >= {"clocks", "model", "sandbox", "processes"}
    said = [each["said"] for each in found]
    assert any(text.startswith("each broker knows what Kadr asks for") for text in said)
    assert any("nothing is left of uploads" in text for text in said)
    for role in ("runner", "inference", "results"):
        assert any(text.startswith(f"{role}: 1 in its group") for text in said)


async def test_a_topic_that_may_lose_messages_is_told(pipeline: Pipeline) -> None:
    changed = STREAM | {"retention.ms": "604800000"}
    async with topic_of(pipeline.settings, "outbox_events", changed):
        (found,) = not_ok(await look_at_kafka(pipeline.settings))
    assert (found.verdict, "outbox_events has retention.ms=604800000" in found.said) == ("wrong", True)
    assert not_ok(await look_at_kafka(pipeline.settings)) == []


async def test_an_index_that_is_gone_is_told(pipeline: Pipeline) -> None:
    uploads = pipeline.mongo["main_db"]["uploads"]
    (name,) = [
        name for name, each in uploads.index_information().items() if each["key"] == [("expires_at", 1)]
    ]
    await asyncio.to_thread(uploads.drop_index, name)
    try:
        (found,) = not_ok(await look_at_main(pipeline.settings))
    finally:
        await asyncio.to_thread(uploads.create_index, [("expires_at", 1)])
    assert (found.check, found.verdict) == ("indexes", "warning")
    assert "uploads(expires_at)" in found.said


async def test_a_process_that_cannot_work_is_told(pipeline: Pipeline) -> None:
    settings = pipeline.settings
    ours = settings.model_copy(update={"api_url": f"http://127.0.0.1:{pipeline.stack.ports.api}"})
    assert not_ok(await look_at_process("api", ours)) == []
    pipeline.stack.freeze_program("mongo")
    try:
        await asyncio.to_thread(
            pipeline.wait_until, lambda: pipeline.api.get("/health/ready").status_code == 503, seconds=30
        )
        (found,) = not_ok(await look_at_process("api", ours))
    finally:
        pipeline.stack.thaw_program("mongo")
    assert (found.verdict, "mongo:" in found.said) == ("warning", True)
    await asyncio.to_thread(
        pipeline.wait_until, lambda: pipeline.api.get("/health/ready").status_code == 200, seconds=60
    )
