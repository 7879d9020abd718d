"""Decoding children as Linux shows them: which of them has which video open."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path


def decoding(runners: Iterable[int], work: Path, size: int | None = None) -> Iterator[int]:
    """Yield the children that have a video open.

    Args:
        runners: process ids of their parents.
        work: where the runners put inputs.
        size: of the video's file in bytes, if only those that decode it are meant.
    """
    for pid in (child for runner in runners for child in _children_of(runner)):
        with suppress(OSError):  # it is gone
            if b"app.decoding.child" in Path(f"/proc/{pid}/cmdline").read_bytes():
                opened = Path(f"/proc/{pid}/fd").iterdir()
                files = [each for each in opened if str(each.readlink()).startswith(str(work))]
                if any(size in (None, each.stat().st_size) for each in files):
                    yield pid


def padded(source: Path, target: Path, padding: int) -> int:
    """Write an MP4 file with so many bytes of nothing behind it, to tell it by its size; return that."""
    box = (8 + padding).to_bytes(4, "big") + b"free" + bytes(padding)  # MP4 has a word for nothing
    return target.write_bytes(source.read_bytes() + box)


def _children_of(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return found
