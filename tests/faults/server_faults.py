"""Kafka, Mongo and S3 stopped, killed and frozen."""

import time
from functools import partial
from random import Random

from app.local.stack import SERVERS
from tests.faults.fault import Fault, Field
from tests.faults.process_faults import kill, wait_for_pid


def stop(server: str, at: Field, _random: Random) -> None:
    """Stop a server in an orderly way for as long as an outage lasts."""
    stack = at.pipeline.stack
    stack.stop_program(server)
    try:
        time.sleep(at.outage)
    finally:
        stack.start_program(server)


def freeze(server: str, at: Field, _random: Random) -> None:
    """Let a server hang for longer than the workers' session."""
    stack = at.pipeline.stack
    wait_for_pid(at, server)
    stack.freeze_program(server)
    try:
        time.sleep(7.0 if at.is_quick else 25.0)
    finally:
        stack.thaw_program(server)


def freeze_kafka_under_two(at: Field, random: Random) -> None:
    """Let Kafka hang while each role has two workers: both are expelled, join again and share anew."""
    with at.pipeline.second_workers():
        # Those of the step may have ended while the workers came.
        at.submit("long")
        freeze("kafka", at, random)


FAULTS: tuple[Fault, ...] = (
    *(Fault("server-stop", server, partial(stop, server)) for server in SERVERS),
    *(Fault("server-kill", server, partial(kill, server)) for server in SERVERS),
    *(Fault("server-freeze", server, partial(freeze, server)) for server in SERVERS),
    Fault("server-freeze", "kafka-under-two", freeze_kafka_under_two),
)
