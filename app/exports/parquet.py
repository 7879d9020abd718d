"""Parquet: one row for each object, in groups of a bounded size."""

from itertools import islice
from typing import BinaryIO, Final

import pyarrow as pa
from pyarrow import parquet

from app.domain.results import Document
from app.exports.selection import Selection

GROUP: Final = 50_000
"""Rows of a group: some 5 MB, all that is held."""

COLUMNS: Final = (
    ("frame", pa.int32()),
    ("time", pa.float64()),
    ("class", pa.string()),
    ("conf", pa.float64()),
    ("left", pa.int32()),
    ("top", pa.int32()),
    ("right", pa.int32()),
    ("bottom", pa.int32()),
    ("track", pa.int32()),
)
"""The last one is there where tracks were looked for."""


def write_parquet(document: Document, selection: Selection, out: BinaryIO) -> None:
    """Write the objects; the result's head is the file's metadata `kadr`, as JSON."""
    columns = COLUMNS if document.head.has_tracks else COLUMNS[:-1]
    metadata = {b"kadr": document.prefix.rstrip().rstrip(b",") + b"}"}
    schema = pa.schema(columns, metadata=metadata)
    lines = (
        (row.frame, row.time, each.class_, each.conf, *each.box, each.track)
        for row in selection.select(document.rows())
        for each in row.objects
    )
    with parquet.ParquetWriter(pa.PythonFile(out, mode="w"), schema, compression="zstd") as writer:
        while group := list(islice(lines, GROUP)):
            values = list(zip(*group, strict=True))[: len(columns)]
            arrays = [pa.array(each, kind) for each, (_, kind) in zip(values, columns, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
