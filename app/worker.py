"""The Faust app of a role, which owns its clients: opens them before its agents, closes them after.

One app is one consumer group. Everything that is the same for every role is here: the settings that were
measured to lose nothing, the topics, health, trimming, the watchdog, and how the process stops when going
on would be unsafe.
"""

import argparse
import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import faust

from app.clients.kafka.broker import Broker, Partition, SetAside, open_broker
from app.delivery import Delivery, Route, position_of
from app.errors import EXIT_MISCONFIGURED, EXIT_UNSAFE, Misconfigured, Rejected, RetryLater
from app.logs import describe_settings, set_up_logs
from app.rejected import set_aside
from app.settings import Settings
from app.streaming.durable_table import CHANGELOG, DurableTable, rocksdb_options
from app.streaming.faust_consumer import Consumer
from app.streaming.local_state import LocalState
from app.streaming.membership import Membership
from app.streaming.upkeep import Upkeep
from app.suspects import Suspects
from app.telemetry.exposition import begin_topic
from app.telemetry.tracing import start_tracing, stop_tracing
from app.topics import STREAMS, Contract, required_topics

logger = logging.getLogger(__name__)

Clients = TypeVar("Clients")

STOP_WITHIN: Final = 15.0
"""Seconds for a stop in an orderly way, with a LeaveGroup, before the process is ended."""


def create_worker(
    role: str,
    settings: Settings,
    open_clients: Callable[[Settings], AbstractAsyncContextManager[Clients]],
    *,
    buffer: int = 4096,
    **changes: object,
) -> "Worker[Clients]":
    """Return the Faust app of a role.

    Args:
        role: its name, which is the consumer group.
        settings: what the operator chose.
        open_clients: opens what the role's agents need.
        buffer: events per agent read ahead. When it is full Faust sleeps a second, so it is ample:
            4096 small messages, or 256 pictures (25 MB).
        changes: Faust settings of this role that differ from the rest.
    """
    datadir = Path(_asked_datadir() or settings.data_dir / "faust" / role)
    datadir.mkdir(parents=True, exist_ok=True)  # Faust makes the last level only
    session = settings.session_timeout.total_seconds()
    chosen: dict[str, object] = {
        "broker": f"kafka://{settings.kafka_bootstrap_servers}",
        "store": "rocksdb://",
        "Table": DurableTable,
        "datadir": str(datadir),
        "topic_partitions": settings.video_partitions,
        "topic_replication_factor": settings.topic_replication_factor,
        "topic_allow_declare": True,
        "topic_disable_leader": True,
        "table_standby_replicas": 0,
        "consumer_auto_offset_reset": "earliest",
        "consumer_max_fetch_size": 5 << 20,
        "stream_wait_empty": False,
        "stream_buffer_maxsize": buffer,
        "broker_session_timeout": session,
        "broker_heartbeat_interval": min(3.0, session / 3),
        "broker_rebalance_timeout": 60,
        "broker_request_timeout": max(90.0, session + 30),
        "broker_max_poll_interval": 1_000_000,
        "broker_commit_interval": 1.0,
        "producer_acks": -1,
        # So that the rows of one message go out in one request, not the first alone and the others after it.
        "producer_linger": 0.002,
        "producer_request_timeout": 1200,
        "producer_max_batch_size": 900_000,
        "producer_max_request_size": 5_000_000,
        "web_bind": settings.web_bind,
        "web_host": "127.0.0.1",
        "web_cors_options": None,
        "worker_redirect_stdouts": False,
        "logging_config": None,
        "loghandlers": [],
    }
    return Worker(role, settings, open_clients, chosen | changes)


def _asked_datadir() -> str | None:
    """Return what `--datadir` says.

    Faust puts it into F_DATADIR only after it has imported the module that makes the app (0.15.3), and an app
    that is given a folder of its own does not look there. Without this all replicas would share one folder.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--datadir", "-D", default=os.environ.get("F_DATADIR"))
    asked: str | None = parser.parse_known_args(sys.argv[1:])[0].datadir
    return asked


class Worker(faust.App, Generic[Clients]):  # type: ignore[misc]  # Faust has no types
    """A role's Faust app; `clients` is what its agents need, open while they run."""

    clients: Clients
    broker: Broker

    def __init__(
        self,
        role: str,
        settings: Settings,
        open_clients: Callable[[Settings], AbstractAsyncContextManager[Clients]],
        chosen: Mapping[str, object],
    ) -> None:
        super().__init__(role, **chosen)
        self.role = role
        self.settings = settings
        self.deliveries: dict[str, Delivery] = {}
        self._open_clients = open_clients
        self._open = AsyncExitStack()
        self._stopping_unsafe = False
        self.was_assigned = False
        self.upkeep = Upkeep(self, stall_after=settings.stall_after.total_seconds())
        self._datadir = Path(str(chosen["datadir"]))
        self._membership = Membership(self._datadir / "member")
        self.on_partitions_revoked.connect(self._forget_assignment, weak=False)
        self.on_partitions_assigned.connect(self._note_assignment, weak=False)
        self.task(self.upkeep.tidy_for_ever)
        self.task(self.upkeep.watch_for_ever)

    def _new_transport(self) -> Any:  # noqa: ANN401 - Faust has no types
        transport = super()._new_transport()
        transport.Consumer = Consumer
        return transport

    async def _execute_task(self, task: Coroutine[Any, Any, None]) -> None:
        await super()._execute_task(self._forever(task))

    async def _forever(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a loop or a timer of ours; stop the process when something has cancelled it.

        Faust lets it go with a line in the log (mode 0.7.1, `Service._execute_task`), and the worker lives on
        without it: nothing would be trimmed, admitted or asked for again any more.
        """
        try:
            await work
        except asyncio.CancelledError:
            if not self.should_stop:
                await self.stop_unsafe(f"{getattr(work, '__qualname__', work)} was cancelled")
            raise

    def stream_topic(self, contract: Contract[Any]) -> Any:  # noqa: ANN401 - Faust has no types
        """Return a topic of the contract as a Faust topic of raw bytes.

        Raw, because Faust loses or hangs on a value that it cannot decode; we decode in the delivery loop.
        """
        return self.topic(
            contract.name,
            partitions=contract.spread.partitions(self.settings),
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
        )

    def durable_table(self, name: str, *, description: str) -> DurableTable:
        """Return a table of bytes, in as many partitions as the videos have."""
        table: DurableTable = self.Table(
            name,
            help=description,
            partitions=self.settings.video_partitions,
            key_type=bytes,
            value_type=bytes,
            options=rocksdb_options(),
            extra_topic_configs=CHANGELOG,
        )
        return table

    def deliver(self, name: str, route: Route[Any], *, up_to: int = 1, in_flight: int = 1) -> None:
        """Let an agent of this worker handle a topic; the delivery loop is watched.

        One topic for each agent: Faust's own `agents` command stops at one with several.

        Args:
            name: of the agent.
            route: the topic and what happens to its messages.
            up_to: most messages given to the handler at once.
            in_flight: most batches handled at the same time.
        """
        delivery = Delivery(
            keeper=self,
            suspects=self.suspects_of(name),
            route=route,
            up_to=up_to,
            in_flight=in_flight,
        )
        self.deliveries[name] = delivery
        begin_topic(route.contract.name)

        async def run(stream: Any) -> None:  # noqa: ANN401 - Faust has no types
            await delivery.run(stream)

        run.__doc__ = route.handle.__doc__  # what `faust agents` shows
        self.agent(self.stream_topic(route.contract), name=name, concurrency=1)(run)

    def suspects_of(self, name: str) -> Suspects:
        """Return what an agent of this worker had in hand when it died; each replica has its own folder."""
        return Suspects(self._datadir / f"suspects-{name}.json")

    async def on_start(self) -> None:
        """Wait for Kafka, make or check the topics, and open the clients."""
        set_up_logs(self.role, self.settings)  # the worker that started us has put its own handlers there
        describe_settings(self.role, self.settings)
        start_tracing(self.role, self.settings.otel_exporter_otlp_endpoint)
        try:
            self.broker = await self._reach_kafka()
            await self._end_last_membership()
            await self._ensure_topics()
            self.clients = await self._reach_services()
        except Misconfigured as error:
            logger.critical("cannot start: %s", error)
            _leave(EXIT_MISCONFIGURED)
        except Exception as error:  # Faust would end the process without a word
            logger.critical("cannot start: %s", error, exc_info=True)
            raise
        await super().on_start()

    async def _ensure_topics(self) -> None:
        """Make or check the topics, and let go of what this disk holds of others of the same names."""
        topics = required_topics(self.settings) | self._changelogs()
        factor = self.settings.topic_replication_factor
        await self.broker.ensure_topics(topics, replication_factor=factor)
        ids = await self.broker.topic_ids(topics)
        self.upkeep.know_topics(ids)
        suspects = [delivery.suspects for delivery in self.deliveries.values()]
        state = LocalState(self._datadir, self.tables.values(), suspects)
        await state.reconcile(self.broker, ids)

    def _changelogs(self) -> dict[str, tuple[int, dict[str, str]]]:
        """Return the topics behind this worker's tables.

        Faust would make them itself, but goes on before the broker shows them, and then stops at the first
        write because the number of partitions is unknown.
        """
        partitions = self.settings.video_partitions
        return {table.changelog_topic_name: (partitions, CHANGELOG) for table in self.tables.values()}

    async def _reach_kafka(self) -> Broker:
        said = False
        while True:
            try:
                broker = open_broker(self.settings.kafka_bootstrap_servers)
                return await self._open.enter_async_context(broker)
            except RetryLater as error:
                if not said:
                    logger.warning("waiting: %s", error, extra={"service": "Kafka"})
                said = True
                await asyncio.sleep(1.0)

    async def _reach_services(self) -> Clients:
        while True:
            try:
                return await self._open.enter_async_context(self._open_clients(self.settings))
            except RetryLater as error:  # the client has logged that its server is away
                logger.debug("waiting: %s", error)
                await asyncio.sleep(1.0)

    async def _end_last_membership(self) -> None:
        """Take who we were in our last life out of the group, which would wait for it.

        After the session timeout the broker has done that by itself.
        """
        deadline = time.monotonic() + self.settings.session_timeout.total_seconds()
        while self._membership.last and time.monotonic() < deadline:
            try:
                await self.broker.remove_member(self.role, self._membership.last)
            except RetryLater as error:
                logger.debug("waiting: %s", error)
                await asyncio.sleep(1.0)
            else:
                return

    async def leave_group(self, within: float) -> None:
        """Take this worker out of its group, so that the others need not wait for it.

        If the broker does not answer within so many seconds, they wait for the session timeout.
        """
        self._note_membership()
        with suppress(RetryLater, TimeoutError):
            async with asyncio.timeout(within):
                await self.broker.remove_member(self.role, self._membership.last)

    async def on_shutdown(self) -> None:
        """Close the clients, after every agent has stopped."""
        await super().on_shutdown()
        await self._open.aclose()
        await asyncio.to_thread(stop_tracing)

    async def first_unread(self) -> Mapping[Partition, int]:
        """Return from which offset each assigned partition must go on, as the broker knows it.

        Raises:
            RetryLater: the topics are not those of our start; what comes from them is not for us.
        """
        if lost := await self.upkeep.lost_topics():
            raise RetryLater(f"Kafka does not show {', '.join(lost)}")
        self._note_membership()  # Faust says that we have joined after it has let the streams go on
        assigned = self.assigned_streams()
        if not assigned:
            return {}
        committed = await self.broker.committed(self.role)
        starts, ends = await self.broker.log_starts(assigned), await self.broker.log_ends(assigned)
        # A commit beyond the log's end is of messages that are gone: a broker has lost its last.
        return {
            each: first
            if (first := committed.get(each)) is not None and first <= ends[each]
            else starts[each]
            for each in assigned
        }

    def assigned_streams(self) -> list[Partition]:
        """Return the partitions of the contract's streams that this worker reads now."""
        names = {contract.name for contract in STREAMS}
        # Not `self.consumer`: that property makes a consumer when there is none yet.
        assignment = self.consumer.assignment() if self.started else ()
        return [Partition(tp.topic, tp.partition) for tp in assignment if tp.topic in names]

    @property
    def is_settled(self) -> bool:
        """Return whether this worker has its partitions, and its tables are recovered."""
        are_tables_ready = not self.tables or self.tables.actives_ready
        return bool(self.was_assigned and not self.rebalancing and are_tables_ready)

    def owns(self, topic: str, partition: int) -> bool:
        """Return whether this worker reads a partition now."""
        return Partition(topic, partition) in self.assigned_streams()

    async def set_aside(self, event: Any, reason: Rejected) -> None:  # noqa: ANN401 - Faust has no types
        """Write a message into the topic `rejected` and wait for the broker."""
        message = event.message
        headers = {"code": reason.code, "reason": reason.reason, "time": datetime.now(UTC).isoformat()}
        body = message.value or b""
        kept = SetAside(position_of(event), message.key, bytes(body), headers)
        await set_aside(self.broker, self.settings, kept)

    async def stop_unsafe(self, reason: str, error: BaseException | None = None) -> None:
        """Stop the process without acknowledging anything more; does not return.

        It leaves its group in an orderly way if it can, so that others take over at once and not after the
        session timeout.
        """
        if not self._stopping_unsafe:
            self._stopping_unsafe = True
            logger.critical("stopping: %s", reason, exc_info=error)
            threading.Thread(target=_leave_later, daemon=True).start()
            await self.crash(error or RuntimeError(reason))
        await asyncio.Event().wait()

    def _note_assignment(self, *_args: object, **_kwargs: object) -> None:
        self.was_assigned = True
        self._note_membership()

    def _note_membership(self) -> None:
        if self.started:
            # Neither Faust nor aiokafka tells in public under which id it has joined.
            coordinator = self.consumer._thread._consumer._coordinator  # noqa: SLF001 - see above
            self._membership.note(coordinator.member_id)

    def _forget_assignment(self, *_args: object, **_kwargs: object) -> None:
        # Not when partitions are given: Faust says so after it has let the streams go on, and what came in
        # between would be given up although nobody delivers it again.
        for delivery in self.deliveries.values():
            delivery.forget_assignment()


def _leave(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _leave_later() -> None:
    time.sleep(STOP_WITHIN)
    _leave(EXIT_UNSAFE)
