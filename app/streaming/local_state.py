"""What a worker keeps on its own disk, as far as Kafka still bears it out.

Table stores and the notes of what was in hand speak of offsets. When a topic was lost and made again, its
name is what it was, but its offsets mean something else: a store would mix rows of before with rows of now.
The changelog is the truth and a store its copy, so a store that is no copy is removed before Faust opens it.
"""

import json
import logging
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from app.clients.kafka.broker import Broker, Partition
from app.streaming.durable_table import DurableTable, persisted_offset
from app.suspects import Suspects

logger = logging.getLogger(__name__)

NOTE: Final = "topics.json"
"""The file beside the stores that says which topics they speak of: the id of each name."""

HEAD: Final = "CURRENT"
"""The file that RocksDB writes last when it makes a store; without it there is none yet, or no longer."""


class LocalState:
    """The files in a worker's folder.

    Args:
        folder: of the worker, and of no other.
        tables: whose stores lie in it.
        suspects: whose notes lie in it.
    """

    def __init__(
        self, folder: Path, tables: Collection[DurableTable], suspects: Collection[Suspects]
    ) -> None:
        self._note = folder / NOTE
        self._tables = tables
        self._suspects = suspects

    async def reconcile(self, broker: Broker, topic_ids: Mapping[str, str]) -> None:
        """Remove what speaks of topics, or of offsets, that are no longer there.

        Args:
            broker: says where each changelog ends.
            topic_ids: of the topics of this worker, its changelogs included.

        Raises:
            Unavailable: the broker does not answer.
        """
        known = _load(self._note)
        renewed = {name for name, found in topic_ids.items() if known.get(name) != found}
        for suspects in self._suspects:
            suspects.forget(renewed)
        for table in self._tables:
            stores = _without_ruins(table.stores())
            if table.changelog_topic_name in renewed:
                _remove(table, stores, "its changelog was made anew")
            else:
                _remove(table, await _ahead(broker, table, stores), "its changelog ends before it")
        if renewed:
            _keep(self._note, topic_ids)


async def _ahead(broker: Broker, table: DurableTable, stores: Mapping[int, Path]) -> dict[int, Path]:
    """Return the stores that hold more than their changelog."""
    changelog: str = table.changelog_topic_name
    ends = await broker.log_ends(Partition(changelog, number) for number in stores) if stores else {}
    return {
        number: path
        for number, path in stores.items()
        if (offset := persisted_offset(path)) is not None and offset >= ends[Partition(changelog, number)]
    }


def _without_ruins(stores: Mapping[int, Path]) -> dict[int, Path]:
    """Return the stores that are whole; remove those whose making or removal was cut short.

    RocksDB would make a new store in such a folder and then read the old logs that still lie there.
    """
    whole = {number: path for number, path in stores.items() if (path / HEAD).exists()}
    for number in stores.keys() - whole.keys():
        shutil.rmtree(stores[number])
    return whole


def _remove(table: DurableTable, stores: Mapping[int, Path], cause: str) -> None:
    if not stores:
        return
    fields = {"table": table.name, "partitions": sorted(stores)}
    logger.warning("table store removed, %s: it is recovered from there", cause, extra=fields)
    for path in stores.values():
        (path / HEAD).unlink()
        shutil.rmtree(path)


def _load(path: Path) -> dict[str, str]:
    """Return what was kept; a file that is missing or cannot be read knows nothing."""
    try:
        found = json.loads(path.read_text())
        return {str(name): str(topic_id) for name, topic_id in found.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _keep(path: Path, topic_ids: Mapping[str, str]) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(dict(topic_ids)))
    fresh.replace(path)
