"""With which numbers a model computes."""

from typing import Literal, TypeAlias

Precision: TypeAlias = Literal["f32", "bf16", "int8"]
"""How a model computes: as it was trained, rounded to bf16, or in integers of 8 bits after a calibration."""


def on_gpu(asked: Precision) -> Literal["f32", "f16"]:
    """Return what a GPU computes in: as the model was trained, or in f16 if less is asked for."""
    return "f32" if asked == "f32" else "f16"
