"""With which numbers a model computes."""

from typing import Literal, TypeAlias

Precision: TypeAlias = Literal["f32", "bf16", "int8"]
"""How a model computes: as it was trained, rounded to bf16, or in integers of 8 bits after a calibration."""
