"""Kafka comes back empty: its disk is lost."""

import time
from random import Random

from tests.faults.fault import Fault, Field
from tests.support.kafka_loss import empty_kafka, recover


def lose_kafka(at: Field, random: Random) -> None:
    """Let Kafka lose everything; some time later an operator lets `kadr recover` ask again for the videos."""
    stack = at.pipeline.stack
    stack.stop_program("kafka")
    empty_kafka(stack)
    stack.start_program("kafka")
    # Before or after the workers have noticed and made the topics anew.
    time.sleep(random.uniform(0, 10.0 if at.is_quick else 30.0))
    recover(at.pipeline)


FAULTS: tuple[Fault, ...] = (Fault("kafka-loss", "", lose_kafka),)
