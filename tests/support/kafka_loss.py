"""Kafka loses everything it holds, and an operator does what the documents say."""

import os
import shutil
import subprocess
import sys

from app.local.kafka import create_kafka
from app.local.stack import LocalStack
from tests.support.pipeline import Pipeline


def empty_kafka(stack: LocalStack) -> None:
    """Remove all that Kafka, which is stopped, holds; it begins as a new one when it is started."""
    folder = stack.folder.server("kafka")
    shutil.rmtree(folder / "data")
    create_kafka(folder=folder, jars=stack.jars, ports=stack.ports)


def recover(pipeline: Pipeline, *options: str) -> str:
    """Run `kadr recover` and return what it says."""
    command = (sys.executable, "-m", "app.cli", "recover", *options)
    environment = os.environ | pipeline.stack.environment()
    return subprocess.run(
        command, env=environment, check=True, timeout=60, stdout=subprocess.PIPE, text=True
    ).stdout
