"""Objects followed through a video: numbers by ByteTrack, over the frames in order.

ByteTrack (https://arxiv.org/abs/2110.06864) knows no classes: each class has a tracker of its own, so that a
track never changes its class.
"""

from collections.abc import Sequence
from importlib.metadata import version
from typing import BinaryIO, Final

import msgspec
import numpy as np
import supervision
from trackers import ByteTrackTracker

from app.domain.result_rows import RESULT
from app.domain.results import Document, Found, Head, Row, Tracker
from app.exports.selection import Selection

LIBRARY: Final = "trackers"

NONE: Final = -1
"""What the library calls an object that is of no track (yet)."""


def create_tracker(head: Head) -> Tracker:
    """Return how the objects of a video are followed: as documented, at the rate of what was looked at."""
    return Tracker(version(LIBRARY), frame_rate=round(1 / head.interval, 3))


class Follower:
    """Follows the objects of one class.

    Args:
        how: its parameters.
    """

    def __init__(self, how: Tracker) -> None:
        self._tracker = ByteTrackTracker(
            lost_track_buffer=how.lost_track_buffer,
            frame_rate=how.frame_rate,
            track_activation_threshold=how.track_activation_threshold,
            high_conf_det_threshold=how.high_conf_det_threshold,
            minimum_consecutive_frames=how.minimum_consecutive_frames,
            minimum_iou_threshold=how.minimum_iou_threshold,
        )

    @property
    def is_idle(self) -> bool:
        """Whether a frame without objects would change nothing."""
        return not self._tracker.tracks

    def follow(self, objects: Sequence[Found]) -> list[int]:
        """Return the track of each object of the next frame, `NONE` where it has none."""
        boxes = np.array([each.box for each in objects], dtype=float).reshape(-1, 4)
        found = supervision.Detections(
            xyxy=boxes,
            confidence=np.array([each.conf for each in objects], dtype=float),
            data={"index": np.arange(len(objects))},
        )
        followed = self._tracker.update(found)
        numbers = [NONE] * len(objects)
        if len(followed):
            for index, number in zip(followed.data["index"], followed.tracker_id, strict=True):
                numbers[int(index)] = int(number)
        return numbers


class Tracking:
    """Follows the objects of all classes; tracks are numbered from 1 in the order in which they begin."""

    def __init__(self, how: Tracker) -> None:
        self._how = how
        self._followers: dict[str, Follower] = {}
        self._numbers: dict[tuple[str, int], int] = {}

    def next(self, row: Row) -> Row:
        """Return the next frame with the track of each of its objects.

        One that could not be looked at counts as a frame in which nothing was found.
        """
        classes: dict[str, list[int]] = {
            name: [] for name, each in self._followers.items() if not each.is_idle
        }
        for index, each in enumerate(row.objects):
            classes.setdefault(each.class_, []).append(index)
        tracks: dict[int, int] = {}
        for name, indices in classes.items():
            follower = self._followers.get(name)
            if follower is None:
                follower = self._followers[name] = Follower(self._how)
            for index, number in zip(
                indices, follower.follow([row.objects[index] for index in indices]), strict=True
            ):
                if number != NONE:
                    tracks[index] = self._numbers.setdefault((name, number), len(self._numbers) + 1)
        objects = [
            msgspec.structs.replace(each, track=tracks.get(index)) for index, each in enumerate(row.objects)
        ]
        return msgspec.structs.replace(row, objects=objects)


def write_tracked(document: Document, selection: Selection, out: BinaryIO) -> None:
    """Write a result in which each object says which track it is part of, and the head says how."""
    how = create_tracker(document.head)
    tracking = Tracking(how)
    encoder = msgspec.json.Encoder()
    out.write(document.prefix + b'"tracker":' + encoder.encode(how) + b"," + RESULT.opening)
    separator = b""
    for row in selection.select(document.rows()):
        out.write(separator + encoder.encode(tracking.next(row)))
        separator = b","
    out.write(b"]}")
