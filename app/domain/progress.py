"""Which states a video may pass, and which of its sampled frames have arrived.

All functions here are pure and do not care how often or in what order they are called: a frame that
arrives twice counts once, and a state that was passed is never taken again.
"""

from typing import Final, Literal, TypeAlias

Status: TypeAlias = Literal["processing", "predictable", "ready", "failed", "cancelled", "deleted"]

BEFORE: Final[dict[Status, tuple[Status, ...]]] = {
    "processing": (),
    "predictable": ("processing",),
    "ready": ("processing", "predictable"),
    "failed": ("processing", "predictable"),
    "cancelled": ("processing", "predictable", "ready", "failed"),
    "deleted": ("processing", "predictable", "ready", "failed", "cancelled"),
}
"""From which states of the same attempt a state may be reached. Nothing leads back.

A video is cancelled only after main_db has said so, which knew of no other end then: so it wins over one that
the pipeline has come to meanwhile."""

CHUNK: Final = 4096
"""Sampled frames per bitmap. 512 bytes in one table value: small enough to rewrite with every message,
large enough that two hours at 5 sampled frames a second are nine values."""


def set_bits(bitmap: bytes, offsets: list[int]) -> bytes:
    """Return the bitmap with these bits set; bit 0 is the lowest bit of the first byte.

    Args:
        bitmap: at most CHUNK / 8 bytes; missing bytes at the end are zeros.
        offsets: 0 to CHUNK - 1.
    """
    bits = bytearray(bitmap)
    for offset in offsets:
        byte, bit = divmod(offset, 8)
        if byte >= len(bits):
            bits.extend(bytes(byte + 1 - len(bits)))
        bits[byte] |= 1 << bit
    return bytes(bits)


def clear_bits(bitmap: bytes, offsets: list[int]) -> bytes:
    """Return the bitmap without these bits, all of which are set."""
    bits = bytearray(bitmap)
    for offset in offsets:
        byte, bit = divmod(offset, 8)
        bits[byte] &= ~(1 << bit)
    return bytes(bits)


def count_bits(bitmap: bytes) -> int:
    """Return how many bits are set."""
    return int.from_bytes(bitmap, "little").bit_count()


def missing_offsets(bitmap: bytes, offsets: range) -> list[int]:
    """Return which of these bits are not set, in order."""
    value = int.from_bytes(bitmap, "little")
    return [offset for offset in offsets if not value >> offset & 1]


def chunk_spans(first: int, total: int) -> dict[int, range]:
    """Return which bits of which chunks belong to a video with so many sampled frames from an index on."""
    past = first + total
    return {
        chunk: range(max(0, first - chunk * CHUNK), min(CHUNK, past - chunk * CHUNK))
        for chunk in range(first // CHUNK, -(-past // CHUNK))
    }
