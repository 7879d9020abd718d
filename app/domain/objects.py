"""The objects that Kadr writes to S3: how they are named, and what marks them as ours."""

import re
from collections.abc import Mapping
from typing import Final

INPUT_PREFIX = "input/"
DETECTION_PREFIX = "detection/"
FAILED_PREFIX = "failed/"
DELETED_PREFIX = "deleted/"
DERIVED_PREFIX = "derived/"

OUR_PREFIXES = (
    INPUT_PREFIX,
    DETECTION_PREFIX,
    FAILED_PREFIX,
    DELETED_PREFIX,
    DERIVED_PREFIX,
    "rejected/",
)
"""How the names begin that Kadr gives; the last one is kept for what is set aside."""

OWNER_KEY = "kadr-upload"
"""S3 metadata that marks an object as written by Kadr: nothing else is ever swept."""

OURS = {OWNER_KEY: "1"}
"""That metadata, as it is written."""

ATTEMPT_KEY = "kadr-attempt"
"""S3 metadata of a result or a reason: of which attempt it is what came."""


def marks(attempt: int) -> dict[str, str]:
    """Return the metadata of what came of an attempt."""
    return OURS | {ATTEMPT_KEY: str(attempt)}


def attempt_of(metadata: Mapping[str, str]) -> int | None:
    """Return of which attempt an object is what came; None when a worker of version 0.1 has written it."""
    said = metadata.get(ATTEMPT_KEY, "")
    return int(said) if said.isascii() and said.isdecimal() else None


def is_of_attempt(metadata: Mapping[str, str], attempt: int) -> bool:
    """Return whether an object counts as what came of this attempt, because it is not of one before it."""
    found = attempt_of(metadata)
    return found is None or found >= attempt


def input_object(video_id: str) -> str:
    """Return the object name of an uploaded video."""
    return f"{INPUT_PREFIX}{video_id}.mp4"


def detection_object(video_id: str) -> str:
    """Return the object name of a video's result."""
    return f"{DETECTION_PREFIX}{video_id}.json"


def failed_object(video_id: str) -> str:
    """Return the object name of the reason why a video failed."""
    return f"{FAILED_PREFIX}{video_id}.json"


def deleted_object(video_id: str) -> str:
    """Return the object name that tells the API: the pipeline has forgotten this video."""
    return f"{DELETED_PREFIX}{video_id}"


def derived_folder(video_id: str) -> str:
    """Return how the names of all objects begin that are made from a video or its result, and go with it."""
    return f"{DERIVED_PREFIX}{video_id}/"


def derived_object(video_id: str, name: str) -> str:
    """Return the object name of one of them.

    Args:
        video_id: whose it is.
        name: what it is, without a slash; with the version of how it is made where it is computed, such as
            `summary.v1.jsonl`.
    """
    return f"{derived_folder(video_id)}{name}"


UUID4: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
"""Ids of videos."""

NAMES: Final = {INPUT_PREFIX: input_object, DETECTION_PREFIX: detection_object, FAILED_PREFIX: failed_object}
"""How the objects of a video are named, by what the names begin with; those of `derived/` have any ending."""


def video_of(name: str) -> str | None:
    """Return whose object has this name; None when it is none of ours."""
    found = UUID4.search(name)
    if found is None:
        return None
    is_ours = name in {name_of(found[0]) for name_of in (*NAMES.values(), deleted_object)}
    return found[0] if is_ours or _is_derived(name, found[0]) else None


def _is_derived(name: str, video_id: str) -> bool:
    folder, _, rest = name.rpartition("/")
    return f"{folder}/" == derived_folder(video_id) and rest != ""
