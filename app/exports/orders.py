"""What a child is told: what to write, and of what."""

from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from app.exports.formats import FormatName
from app.exports.selection import Selection

Derived: TypeAlias = Literal["summary", "tracked", "tracks"]
"""What is computed once and kept beside a result."""

Kind: TypeAlias = FormatName | Derived

EXIT_MALFORMED: Final = 65
"""EX_DATAERR of BSD's sysexits.h: what came in is no result, or breaks off."""

EXIT_MEMORY: Final = 71
"""EX_OSERR: more memory was needed than a child may have."""


class Order(Struct, frozen=True, omit_defaults=True):
    """What a child is to write.

    Attributes:
        kind: a form, or what is computed.
        selection: what of the result.
        cpu_seconds: processor time after which it is ended.
        memory: bytes of data that it may have.
    """

    kind: Kind
    selection: Selection = Selection()
    cpu_seconds: int = 1800
    memory: int = 512 << 20


def write_order(order: Order) -> str:
    """Return an order as the argument that a child gets."""
    return msgspec.json.encode(order).decode()


def read_order(text: str) -> Order:
    """Return what `write_order` wrote."""
    return msgspec.json.decode(text, type=Order)
