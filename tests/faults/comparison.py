"""Whether a result is the one of an undisturbed run."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

Frame: TypeAlias = Mapping[str, Any]
Detected: TypeAlias = Mapping[str, Any]

THRESHOLD: Final = 0.25
"""Least confidence of a detection: what is that close to it may come or go."""

NEAR: Final = 0.0011
"""Difference of two confidences: a thousandth, and half a unit of the last place of each."""

PIXELS: Final = 1


@dataclass
class Difference:
    """How a result differs from the expected one.

    Attributes:
        lost: sampled frames that are not in it.
        doubled: frames that are in it more than once.
        sentences: one for each thing that is wrong.
    """

    lost: int = 0
    doubled: int = 0
    sentences: list[str] = field(default_factory=list)


def compare(
    found: Sequence[Frame],
    expected: Sequence[Frame],
    *,
    may_fail: Callable[[int], bool] = lambda _frame: False,
) -> Difference:
    """Compare the frames of a result with those of an undisturbed run.

    Args:
        found: `prediction` of the result.
        expected: the same of the undisturbed run.
        may_fail: whether a frame's error is wanted, given its number.
    """
    difference = Difference()
    numbers = [int(each["frame"]) for each in found]
    wanted = {int(each["frame"]): each for each in expected}
    counts = Counter(numbers)
    lost = sorted(wanted.keys() - counts.keys())
    doubled = sorted(number for number, count in counts.items() if count > 1)
    strange = sorted(counts.keys() - wanted.keys())
    difference.lost, difference.doubled = len(lost), len(doubled)
    for what, which in (("lost", lost), ("doubled", doubled), ("not sampled", strange)):
        if which:
            difference.sentences.append(f"{len(which)} frames are {what}: {which[:10]}")
    if numbers != sorted(numbers):
        difference.sentences.append("the frames are not in order")
    for frame in found:
        number = int(frame["frame"])
        if number in wanted and not (frame.get("error") and may_fail(number)):
            difference.sentences += [f"frame {number}: {each}" for each in _frame(frame, wanted[number])]
    return difference


def _frame(found: Frame, expected: Frame) -> list[str]:
    if found.get("error"):
        return [f"has the error {found['error']}"]
    left = list(expected["objects"])
    sentences = []
    for each in found["objects"]:
        same = next((other for other in left if _is_same(each, other)), None)
        if same is not None:
            left.remove(same)
        elif each["conf"] > THRESHOLD + NEAR:
            sentences.append(f"{each} is not in the undisturbed run")
    sentences += [f"{each} is missing" for each in left if each["conf"] > THRESHOLD + NEAR]
    return sentences


def _is_same(one: Detected, other: Detected) -> bool:
    edges = zip(one["box"], other["box"], strict=True)
    return (
        one["class"] == other["class"]
        and abs(one["conf"] - other["conf"]) <= NEAR
        and all(abs(here - there) <= PIXELS for here, there in edges)
    )
