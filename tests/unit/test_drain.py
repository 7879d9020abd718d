"""What lies in the streams now is followed until it is read; what comes later is not waited for."""

from collections.abc import Collection, Mapping

from app.clients.kafka.broker import Partition
from app.streaming.drain import Drain, Stage

TASKS, RESULTS = Partition("inference_tasks", 0), Partition("inference_results", 0)
STAGES = [Stage("inference", (TASKS,)), Stage("results", (RESULTS,))]


class Streams:
    """Where each stream begins and ends, and how far each group has come."""

    def __init__(self) -> None:
        self.starts: dict[Partition, int] = {}
        self.ends = {TASKS: 0, RESULTS: 0}
        self.groups: dict[str, dict[Partition, int]] = {"inference": {}, "results": {}}

    async def log_ends(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        return {each: self.ends[each] for each in partitions}

    async def log_starts(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        return {each: self.starts.get(each, 0) for each in partitions}

    async def committed(self, group: str) -> Mapping[Partition, int]:
        return self.groups[group]


async def test_empty_streams_are_read_at_once() -> None:
    assert await Drain(STAGES).is_over(Streams())


async def test_what_lies_there_has_to_be_read_and_what_comes_later_has_not() -> None:
    streams, drain = Streams(), Drain(STAGES)
    streams.ends[TASKS] = 3

    assert not await drain.is_over(streams)
    streams.groups["inference"][TASKS], streams.ends[TASKS] = 2, 100
    assert not await drain.is_over(streams)
    streams.groups["inference"][TASKS] = 3
    assert await drain.is_over(streams)


async def test_what_a_stage_has_passed_on_has_to_be_read_by_the_next() -> None:
    streams, drain = Streams(), Drain(STAGES)
    streams.ends[TASKS] = 1

    assert not await drain.is_over(streams)
    streams.groups["inference"][TASKS], streams.ends[RESULTS] = 1, 1
    assert not await drain.is_over(streams)
    streams.groups["results"][RESULTS] = 1
    assert await drain.is_over(streams)


async def test_a_group_without_a_commit_has_nothing_to_read_where_everything_was_removed() -> None:
    streams = Streams()
    streams.ends[TASKS] = streams.starts[TASKS] = 7

    assert await Drain(STAGES).is_over(streams)
