"""A worker that is asked to stop is gone soon, whatever the others of its group are doing."""

import asyncio
import os
import signal
import time
from typing import Final

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from tests.support.pipeline import Pipeline

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

HEARTBEAT: Final = 3.0
"""Seconds between two heartbeats, in which a worker learns of a rebalance."""

STOPPED_WITHIN: Final = 15.0
"""Seconds; twice five for leaving the group, and what a process takes to end on a busy machine."""


def state_of(pipeline: Pipeline, group: str) -> str:
    """Return what the broker says that a consumer group is doing."""

    async def look() -> str:
        admin = AIOKafkaAdminClient(bootstrap_servers=pipeline.settings.kafka_bootstrap_servers)
        await admin.start()
        try:
            (response,) = await admin.describe_consumer_groups([group])
            return str(response.groups[0][2])
        finally:
            await admin.close()

    return asyncio.run(look())


def test_a_worker_does_not_wait_for_another_that_holds_up_a_rebalance(pipeline: Pipeline) -> None:
    with pipeline.another_worker("outbox", "outbox-frozen", given={"SESSION_TIMEOUT": "60"}) as frozen:
        os.kill(frozen.pid, signal.SIGSTOP)
        try:
            with pipeline.started_worker("outbox", "outbox-new"):
                pipeline.wait_until(
                    lambda: state_of(pipeline, "outbox") == "PreparingRebalance",
                    seconds=30,
                    otherwise=lambda: state_of(pipeline, "outbox"),
                )
                time.sleep(HEARTBEAT + 1)
                asked = pipeline.stack.pid_of("outbox")
                began = time.monotonic()
                os.kill(asked, signal.SIGTERM)
                pipeline.wait_until(
                    lambda: pipeline.stack.pid_of("outbox") != asked,
                    seconds=60,
                    otherwise=lambda: "outbox did not stop when asked to",
                )
                took = time.monotonic() - began
                assert state_of(pipeline, "outbox") == "PreparingRebalance", "nobody held it up"
                assert took < STOPPED_WITHIN
        finally:
            os.kill(frozen.pid, signal.SIGCONT)
    pipeline.wait_until(lambda: pipeline.page("outbox", "/health/ready")["ready"], seconds=60)
