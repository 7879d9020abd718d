"""Submits the clips of a step while its fault happens."""

import threading
import time
from collections.abc import Sequence
from random import Random
from typing import Final

from tests.faults.fault import Field
from tests.faults.upload import NotAccepted

LONGEST_GAP: Final = 0.8
"""Seconds between two uploads."""


class Submission:
    """Submits the clips of a step from a thread of its own.

    Attributes:
        problems: a sentence for each upload that was not accepted.
    """

    def __init__(self, field: Field, names: Sequence[str], random: Random) -> None:
        self.problems: list[str] = []
        gaps = [random.uniform(0, LONGEST_GAP) for _ in names]
        self._thread = threading.Thread(target=self._run, args=(field, names, gaps), daemon=True)

    def start(self) -> None:
        """Begin to submit."""
        self._thread.start()

    def finish(self) -> None:
        """Return when every clip was acknowledged, or given up."""
        self._thread.join()

    def _run(self, field: Field, names: Sequence[str], gaps: Sequence[float]) -> None:
        for name, gap in zip(names, gaps, strict=True):
            try:
                field.submit(name)
            except NotAccepted as problem:
                self.problems.append(str(problem))
            time.sleep(gap)
