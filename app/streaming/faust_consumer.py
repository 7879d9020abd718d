"""Faust's consumer without four ways in which it forgets messages that nobody has read, and one of lingering.

They happen around a rebalance, or a start, while messages arrive, and after Kafka has lost its disk. Nothing
is acknowledged that was not done; but a message stays unread until a later one comes into its partition.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from faust.transport.drivers import aiokafka
from faust.types import TP

from app.errors import RetryLater

logger = logging.getLogger(__name__)

PAUSE: Final = 1.0
"""Seconds before the broker is asked once more."""

LEAVE_WITHIN: Final = 5.0
"""Seconds for leaving the group as aiokafka does it, and then for telling the broker ourselves."""


class Consumer(aiokafka.Consumer):  # type: ignore[misc]  # Faust has no types
    """Goes back to the first unread message, and believes no commit that was refused."""

    async def perform_seek(self) -> None:
        """Go to the first unread message of each partition, also of one without a valid commit.

        What arrives between the pause and the seek is dropped: the seek is to bring it back. aiokafka's own
        seeks nothing where nothing, or offset 0, is committed (0.14.0, `seek_to_committed`), and goes where
        there is nothing if the commit is of a topic that was lost.

        After a recovery Faust lets the streams go on before it seeks, and empties their queues afterwards
        (0.15.3, `Recovery._on_recovery_completed`): what came in between would be in no queue, and fetched by
        nobody. So they stop here; whoever asks for the seek lets them go on after it.
        """
        self.stop_flow()
        await super().perform_seek()
        for (topic, number), first in (await self._first_unread()).items():
            tp = TP(topic, number)
            if first and self._committed_offset[tp] == first:
                continue
            # Faust drops what is before the last offset it has read, and takes no acknowledgement before the
            # last one committed.
            self._read_offset[tp] = self._committed_offset[tp] = first or None
            await self.seek(tp, first)

    async def _first_unread(self) -> Mapping[Any, int]:
        while True:
            try:
                found: Mapping[Any, int] = await self.app.first_unread()
            except RetryLater:  # the client has said so; and if our topics are gone, the worker stops soon
                await self.sleep(PAUSE)
            else:
                return found

    async def _commit_offsets(self, offsets: Mapping[Any, int], start_new_transaction: bool = True) -> bool:  # noqa: FBT001, FBT002 - Faust's
        """Commit; remember of what was refused that it is not known.

        Faust counts it as committed all the same, and then takes no acknowledgement below it (0.15.3,
        `Consumer.ack`), although these messages are delivered again.
        """
        did_commit: bool = await super()._commit_offsets(offsets, start_new_transaction)
        if not did_commit:
            self._committed_offset.update(dict.fromkeys(offsets))
        return did_commit

    async def verify_all_partitions_active(self) -> None:
        """Complain of nothing: what stands still is found, and mended, by `app.streaming.upkeep`.

        Faust's own check takes each partition that was given out a moment ago for one that hangs, in hundreds
        of lines for each rebalance of a worker that has run for some minutes.
        """

    def _new_consumer_thread(self) -> "_Thread":
        return _Thread(self, loop=self.loop, beacon=self.beacon)


class _Thread(aiokafka.AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust has no types
    """Lets every commit say which topic it is for, and leaves its group at once."""

    async def on_thread_stop(self) -> None:
        """Leave the group; wait for no rebalance that is under way.

        aiokafka ends a rebalance before it leaves (0.14.0, `GroupCoordinator.close`), and that may wait a
        minute for another worker. By now the agents have stopped, and what they did is acknowledged.
        """
        try:
            async with asyncio.timeout(LEAVE_WITHIN):
                await super().on_thread_stop()
        except TimeoutError:
            logger.info("leaving the group in the middle of a rebalance")
            leaving = asyncio.run_coroutine_threadsafe(self.app.leave_group(LEAVE_WITHIN), self.parent_loop)
            await asyncio.wrap_future(leaving)

    def _create_worker_consumer(self, transport: Any) -> Any:  # noqa: ANN401 - Faust has no types
        consumer = super()._create_worker_consumer(transport)
        plain, worker = consumer.commit, self.app

        async def commit(offsets: Mapping[Any, Any]) -> None:
            stamped = {
                tp: each._replace(metadata=worker.broker.stamp(tp.topic)) for tp, each in offsets.items()
            }
            await plain(stamped)

        consumer.commit = commit
        return consumer
