"""What a child runs: `python -m app.exports.child ORDER`, a result in, what was asked for out."""

import io
import os
import resource
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import BinaryIO, Final, TypeAlias, cast

from app.domain.results import Document
from app.errors import Malformed
from app.exports.orders import EXIT_MALFORMED, EXIT_MEMORY, Kind, Order, read_order
from app.exports.selection import Selection

Write: TypeAlias = Callable[[Document, Selection, BinaryIO], None]

WRITERS: Final[Mapping[Kind, str]] = {
    "json": "rows",
    "jsonl": "rows",
    "csv": "rows",
    "coco": "coco",
    "yolo": "yolo",
    "mot": "mot",
    "vtt": "captions",
    "parquet": "parquet",
    "summary": "summary",
    "tracked": "tracking",
    "tracks": "tracks",
}
"""The module that writes each kind, imported when it is asked for: two of them take 100 MB and a second."""

NICENESS: Final = 10
"""Behind whatever answers requests and looks at frames."""

OUT_AT_ONCE: Final = 1 << 18
"""Bytes that are gathered before they are written."""


class _Raw(io.RawIOBase):
    """Standard output without a position: a pipe has none, and a file would tell of what was in it before."""

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        return os.write(1, cast("bytes", data))


def main() -> None:
    """Write what was ordered, and exit with a code that says how it went."""
    order = read_order(sys.argv[1])
    _bound(order)
    try:
        write: Write = getattr(import_module(f"app.exports.{WRITERS[order.kind]}"), f"write_{order.kind}")
        with io.BufferedWriter(_Raw(), OUT_AT_ONCE) as out:
            write(Document(sys.stdin.buffer), order.selection, out)
    except Malformed as error:
        sys.stderr.write(f"{error.reason}\n")
        os._exit(EXIT_MALFORMED)  # not `sys.exit`, which would write what is half done
    except MemoryError:
        os._exit(EXIT_MEMORY)


def _bound(order: Order) -> None:
    """Give way to others, and end after so much processor time or memory."""
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_CPU, (order.cpu_seconds, order.cpu_seconds))
    resource.setrlimit(resource.RLIMIT_DATA, (order.memory, order.memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
