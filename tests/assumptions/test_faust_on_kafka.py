"""What we rely on in Faust and aiokafka, on the real broker: to be run again at each upgrade."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from app.clients.kafka.broker import Broker, Partition
from app.delivery import Delivered
from app.errors import Unavailable
from app.publishing import Publisher
from tests.assumptions.conftest import Role, Running, end, gap, until

pytestmark = [pytest.mark.long, pytest.mark.servers, pytest.mark.timeout(120)]


async def test_each_topic_reaches_its_agent_as_raw_bytes_that_we_decode(role: Role) -> None:
    await role.send(role.gaps, gap("a", 5), partition=0)
    await role.send(role.ends, end("a"), partition=1)
    seen: list[str] = []

    async def note(batch: Sequence[Delivered[Any]]) -> None:
        seen.extend(type(each.message).__name__ for each in batch)
        assert all(isinstance(each.event.message.value, bytes) for each in batch)

    async with role.running(note):
        await until(lambda: len(seen) == 2)
    assert sorted(seen) == ["FramesMissing", "VideoEnded"]


@pytest.mark.usefixtures("expects_errors")
async def test_what_no_decoder_reads_neither_stops_nor_passes_unseen(role: Role, broker: Broker) -> None:
    await role.send(role.gaps, b"\xff{", gap("a", 5))
    async with role.running():
        await until(lambda: role.delivered == [(role.gaps.name, 0, 1)])
    found = {each.position: each.body for each in await broker.rejected("rejected")}
    assert found[f"{role.gaps.name}/0/0"] == b"\xff{"


async def test_what_is_not_acknowledged_is_not_committed_and_comes_again(role: Role, broker: Broker) -> None:
    await role.send(role.gaps, gap("a", 0), gap("a", 5), gap("a", 10))

    async def hang_at_the_second(batch: Sequence[Delivered[Any]]) -> None:
        if batch[0].message.frames == [5]:
            await asyncio.Event().wait()

    async with role.running(hang_at_the_second, up_to=1):
        await until(lambda: len(role.delivered) == 2)
    assert await broker.committed(role.group) == {Partition(role.gaps.name, 0): 1}
    role.delivered.clear()
    async with role.running():
        await until(lambda: len(role.delivered) == 2)
    assert [offset for _, _, offset in role.delivered] == [1, 2]


async def test_a_partition_without_a_commit_goes_back_to_its_start(role: Role) -> None:
    await role.send(role.gaps, gap("a", 0))

    async def hang(_batch: Sequence[Delivered[Any]]) -> None:
        await asyncio.Event().wait()

    async with role.running(hang, up_to=1, in_flight=2) as running:
        await until(lambda: len(role.delivered) == 1)
        await running.worker.consumer.perform_seek()  # as Faust does after each rebalance
        running.worker.consumer.resume_flow()
        await until(lambda: len(role.delivered) == 2)
    assert role.delivered == [(role.gaps.name, 0, 0)] * 2


async def test_a_commit_for_a_topic_that_was_lost_counts_for_nothing(role: Role, broker: Broker) -> None:
    first = Partition(role.gaps.name, 0)
    await role.send(role.gaps, gap("a", 0))
    async with role.running():
        await until(lambda: len(role.delivered) == 1)
    assert await broker.committed(role.group) == {first: 1}
    # As if a commit of before the loss had arrived after it: it is stamped with another topic's id.
    async with AIOKafkaConsumer(
        group_id=role.group, bootstrap_servers=role.settings.kafka_bootstrap_servers, enable_auto_commit=False
    ) as consumer:
        consumer.assign([TopicPartition(*first)])
        await consumer.commit({TopicPartition(*first): OffsetAndMetadata(9, "another-topic")})
    await role.send(role.gaps, gap("a", 5))
    role.delivered.clear()

    async with role.running():
        # And what was read before, unless it has been trimmed.
        await until(lambda: (role.gaps.name, 0, 1) in role.delivered)


async def test_what_the_broker_refused_to_commit_does_not_count_as_committed(
    role: Role, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_offsets: object) -> bool:
        return False

    async with role.running(up_to=1) as running:
        consumer = running.worker.consumer
        with monkeypatch.context() as refusing:
            refusing.setattr(consumer, "_commit", refuse)
            await role.send(role.gaps, gap("a", 0), gap("a", 5))
            await until(lambda: len(role.delivered) == 2)
            await consumer.commit()
        await consumer.perform_seek()  # what follows a commit that a rebalance made void
        consumer.resume_flow()

        async def all_committed() -> bool:
            return await broker.committed(role.group) == {Partition(role.gaps.name, 0): 2}

        await until(all_committed)
    assert [offset for _, _, offset in role.delivered] == [0, 1, 0, 1]


async def test_a_row_goes_where_the_message_that_it_is_written_for_belongs(role: Role) -> None:
    for partition in (0, 1):
        await role.send(role.gaps, *(gap(f"p{partition}", n) for n in range(10)), partition=partition)
    running: list[Running] = []

    async def write(batch: Sequence[Delivered[Any]]) -> None:
        for each in batch:
            key = f"{each.message.video_id}/{each.message.frames[0]}"
            running[0].put(each, key, b"\x00\xffraw")
        await running[0].table.durable()

    async with role.running(write, up_to=64) as started:
        running.append(started)
        changelog = started.table.changelog_topic_name
        records = await role.read(changelog, 20)
        assert started.table.get(b"p0/3") == b"\x00\xffraw"
    assert {(record.partition, record.key[:2]) for record in records} == {(0, b"p0"), (1, b"p1")}
    assert {record.value for record in records} == {b"\x00\xffraw"}, "nothing is wrapped in JSON"


async def test_rows_come_back_from_the_changelog_into_an_empty_folder(role: Role, tmp_path: Path) -> None:
    await role.send(role.gaps, gap("a", 0), gap("a", 5))
    running: list[Running] = []

    async def write(batch: Sequence[Delivered[Any]]) -> None:
        for each in batch:
            running[0].put(each, f"a/{each.message.frames[0]}", b"row")
        await running[0].table.durable()

    async with role.running(write) as started:
        running.append(started)
        await until(lambda: len(role.delivered) == 2)
        await until(lambda: not started.table._unconfirmed)
    shutil.rmtree(tmp_path / "faust")
    async with role.running() as again:
        assert (again.table.get(b"a/0"), again.table.get(b"a/5")) == (b"row", b"row")


async def test_several_may_wait_until_what_is_written_is_durable_and_none_returns_too_early(
    role: Role,
) -> None:
    await role.send(role.gaps, gap("a", 0))
    waited: list[bool] = []
    running: list[Running] = []

    async def write(batch: Sequence[Delivered[Any]]) -> None:
        table = running[0].table
        running[0].put(batch[0], "a", b"row")
        (future,) = table._unconfirmed

        async def wait() -> None:
            await table.durable()
            waited.append(future.done())

        assert not future.done()
        await asyncio.gather(wait(), wait(), wait())

    async with role.running(write) as started:
        running.append(started)
        await until(lambda: len(waited) == 3)
    assert waited == [True, True, True]


async def test_the_first_await_of_a_send_only_queues(role: Role) -> None:
    async with role.running() as running:
        publisher = Publisher({role.ends.name: running.worker.stream_topic(role.ends)})
        sent = asyncio.ensure_future(
            await publisher.send(role.ends, key=b"a", value=end("a"), headers={"vid_stride": b"7"})
        )
        assert not sent.done()
        where = await sent
    (record,) = await role.read(role.ends.name, 1)
    assert (where.topic_partition.topic, where.offset) == (role.ends.name, record.offset)
    assert (record.key, record.value, record.headers) == (b"a", end("a"), (("vid_stride", b"7"),))


async def test_partitions_of_all_topics_of_a_role_go_together_and_what_was_in_hand_comes_again(
    role: Role, broker: Broker, tmp_path: Path
) -> None:
    """A second worker joins while a message of each partition is in hand."""
    released = asyncio.Event()

    async def wait(_batch: Sequence[Delivered[Any]]) -> None:
        await released.wait()

    for partition in (0, 1):
        await role.send(role.gaps, gap(f"p{partition}", 0), partition=partition)
        await role.send(role.ends, end(f"p{partition}"), partition=partition)
    async with role.running(wait, datadir=tmp_path / "one") as one:
        await until(lambda: len(role.delivered) >= 2)
        async with role.running(wait, datadir=tmp_path / "two") as two:
            await until(lambda: len(one.worker.assigned_streams()) == len(two.worker.assigned_streams()) == 2)
            for running in (one, two):
                assigned = running.worker.assigned_streams()
                assert len({each.number for each in assigned}) == 1
                assert {each.topic for each in assigned} == {role.gaps.name, role.ends.name}
            released.set()
            # What moved was in hand and not acknowledged, so its new owner gets it once more.
            await until(lambda: len(set(role.delivered)) == 4 and len(role.delivered) >= 6)

            async def is_committed() -> bool:
                committed = await broker.committed(role.group)
                return len(committed) == 4 and set(committed.values()) == {1}

            await until(is_committed)
    assert one.worker._stopping_unsafe is two.worker._stopping_unsafe is False


async def test_what_was_given_up_at_a_rebalance_comes_again_also_to_the_worker_that_keeps_its_partition(
    role: Role, broker: Broker, tmp_path: Path
) -> None:
    """Both workers wait for the world while the second one joins; what was in hand is not handled there."""
    is_away = True

    async def wait(_batch: Sequence[Delivered[Any]]) -> None:
        if is_away:
            raise Unavailable("S3", "the test took it away")

    for partition in (0, 1):
        await role.send(role.gaps, *(gap(f"p{partition}", n) for n in range(3)), partition=partition)
    async with role.running(wait, datadir=tmp_path / "one", up_to=1) as one:
        await until(lambda: len(role.delivered) >= 1)
        async with role.running(wait, datadir=tmp_path / "two", up_to=1) as two:
            await until(lambda: len(one.worker.assigned_streams()) == len(two.worker.assigned_streams()) == 2)
            role.delivered.clear()
            is_away = False

            async def is_committed() -> bool:
                committed = await broker.committed(role.group)
                return committed == {Partition(role.gaps.name, number): 3 for number in (0, 1)}

            await until(is_committed)
    wanted = {(role.gaps.name, partition, offset) for partition in (0, 1) for offset in range(3)}
    assert set(role.delivered) == wanted, "each was handled after the partitions were given out anew"
    assert one.worker._stopping_unsafe is two.worker._stopping_unsafe is False


async def test_the_offsets_that_the_broker_knows_are_where_an_assignment_goes_on(role: Role) -> None:
    await role.send(role.gaps, gap("a", 0), gap("a", 5))
    async with role.running() as running:
        await until(lambda: len(role.delivered) == 2)

        async def is_committed() -> bool:
            return (await running.worker.first_unread())[Partition(role.gaps.name, 0)] == 2

        await until(is_committed)
        unread = await running.worker.first_unread()
    assert unread == {
        Partition(contract.name, number): 2 if (contract, number) == (role.gaps, 0) else 0
        for contract in role.streams
        for number in (0, 1)
    }
