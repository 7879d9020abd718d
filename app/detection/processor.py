"""What this machine's processor can do that decides how fast a model runs."""

import re
from pathlib import Path
from typing import Final

CPUINFO: Final = Path("/proc/cpuinfo")

FOR_INT8: Final = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"})
"""Instructions that multiply and add 8-bit integers in one go: x86's VNNI and AMX, Arm's dot products.

On a processor with VNNI an INT8 graph takes 2.4 times less than in f32, on one without 1.1 to 1.2 times
(docs/performance.md).
"""


def find_abilities(cpuinfo: str | None = None) -> frozenset[str]:
    """Return the instructions that the first core knows, as Linux names them (`flags`, on Arm `Features`).

    Args:
        cpuinfo: what `/proc/cpuinfo` says; None reads it.
    """
    text = CPUINFO.read_text(encoding="utf-8", errors="replace") if cpuinfo is None else cpuinfo
    found = re.search(r"^(?:flags|Features)\s*: (.+)$", text, re.MULTILINE)
    return frozenset(found[1].split()) if found else frozenset()
