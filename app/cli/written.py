"""What goes to standard output for programs: JSON, one document, or one a line."""

import sys
from collections.abc import Iterable

import msgspec


def write_json(facts: object) -> None:
    """Write one document and a line's end at once, so that whoever reads a stream gets it whole and now."""
    sys.stdout.write(f"{msgspec.json.encode(facts).decode()}\n")
    sys.stdout.flush()


def write_lines(all_facts: Iterable[object]) -> int:
    """Write a document a line (JSON Lines); answers how many there were."""
    number = 0
    for facts in all_facts:
        write_json(facts)
        number += 1
    return number
