"""The contract between the stages."""

from typing import get_args

from app.domain.messages import Message
from app.settings import Settings
from app.topics import INFERENCE_TASKS, REJECTED, STREAMS, required_topics


def test_no_stream_loses_what_nobody_has_read() -> None:
    for contract in STREAMS:
        assert contract.config["cleanup.policy"] == "delete"
        assert contract.config["retention.ms"] == contract.config["retention.bytes"] == "-1"


def test_every_message_has_its_one_topic() -> None:
    assert sorted(contract.message.__name__ for contract in STREAMS) == sorted(
        message.__name__ for message in get_args(Message)
    )
    assert len({contract.name for contract in STREAMS}) == len(STREAMS)


def test_what_meets_in_one_table_has_one_partition_count() -> None:
    wanted = required_topics(Settings(video_partitions=3, task_partitions=7))
    counts = {name: partitions for name, (partitions, _) in wanted.items()}
    assert counts.pop(INFERENCE_TASKS.name) == 7
    assert counts.pop(REJECTED) == 1
    assert set(counts.values()) == {3}


def test_what_was_set_aside_is_kept() -> None:
    assert required_topics(Settings())[REJECTED][1] == {"cleanup.policy": "compact"}
