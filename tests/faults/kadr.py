"""A Kadr of its own for faults: three servers and five processes on free ports, with shorter clocks."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from app.clients.s3.storage import open_storage
from app.local.ports import free_ports
from app.local.stack import LocalStack
from app.settings import Settings
from tests.faults.clips import CORRUPT, TRUNCATED, draw_clips, sampled_of
from tests.faults.fault import Field
from tests.faults.ledger import Ledger
from tests.faults.observer import Observer
from tests.support.pipeline import Pipeline
from tests.support.stack import own_environment

READY_SECONDS: Final = 180.0
"""Five processes on two busy cores; the model is exported on the first start."""

CLOCKS: Final = {"STALL_AFTER": "20", "REDRIVE_AFTER": "30", "OUTBOX_LEASE": "5", "SESSION_TIMEOUT": "10"}
"""Shorter than an operator would set them, so that each round sees the watchdogs at work."""

QUICK: Final = CLOCKS | {
    "STALL_AFTER": "12",
    "REDRIVE_AFTER": "18",
    "SESSION_TIMEOUT": "6",
    "SPLIT_LEASE": "8",
    "IMGSZ": "320",
}
"""Shorter still, as short as settings may be. At 320 pixels too the model finds every shape of the clips."""

FOREIGN: Final = {
    "input/6f1c6d1e-6a2b-4c3d-8e4f-0123456789ab.mp4": b"named like an upload, but without its marker",
    "input/my.mp4": b"somebody's film",
    "detection/notes.txt": b"somebody's notes",
    "failed/x": b"somebody's failure",
}
"""Objects that somebody else has put beside ours, under awkward names."""


@dataclass
class Kadr:
    """A running Kadr, what it answers undisturbed, and what looks at it.

    Attributes:
        pipeline: its outside.
        is_quick: whether outages and clips are short.
        failpoints: the folder that its processes look into.
        clips: the videos of each round, by name.
        reference: what came of each clip undisturbed: the body of its result.
        observer: looks at runner_db.
        ledger: reads Kafka.
        set_aside: positions in `rejected` that are accounted for.
        bodies: names of the objects that hold large bodies; they outlive a Kafka that loses its disk.
        reported: what earlier steps have found wrong, so that it counts once.
    """

    pipeline: Pipeline
    is_quick: bool
    failpoints: Path
    clips: dict[str, Path]
    observer: Observer
    ledger: Ledger
    reference: dict[str, dict[str, Any]] = field(default_factory=dict)
    set_aside: set[str] = field(default_factory=set)
    bodies: set[str] = field(default_factory=set)
    reported: set[str] = field(default_factory=set)

    def field(self) -> Field:
        """Return the field of a new step."""
        return Field(self.pipeline, self.is_quick, self.failpoints, self.clips)


@contextmanager
def open_kadr(root: Path, *, is_quick: bool) -> Iterator[Kadr]:
    """Start a Kadr, put foreign objects beside it and let it look at every clip once, undisturbed.

    Args:
        root: an empty folder for everything.
        is_quick: whether outages and clips are short.
    """
    failpoints = root / "failpoints"
    failpoints.mkdir()
    chosen = QUICK if is_quick else CLOCKS
    given = own_environment() | chosen | {"MODEL": "", "FAILPOINTS": str(failpoints)}
    clips = draw_clips(root, is_quick=is_quick)
    with free_ports() as ports:
        stack = LocalStack.from_environment(given, data_dir=root / "data", ports=ports)
        with stack:
            stack.wait_ready(READY_SECONDS)
            settings = settings_of(stack.environment() | chosen)
            with (
                Pipeline.connect(stack, settings) as pipeline,
                Observer(settings.mongo_uri.get_secret_value()) as observer,
            ):
                kadr = Kadr(pipeline, is_quick, failpoints, clips, observer, Ledger(settings))
                asyncio.run(_put_foreign_objects(settings))
                kadr.reference.update(_undisturbed(kadr))
                yield kadr


def settings_of(environment: dict[str, str]) -> Settings:
    """Return the settings that environment variables hold."""
    return Settings.model_validate({name.lower(): value for name, value in environment.items()})


def _undisturbed(kadr: Kadr) -> dict[str, dict[str, Any]]:
    """Return what comes of each clip, after counting its frames in another way."""
    pipeline = kadr.pipeline
    ids = {name: pipeline.submit(path) for name, path in kadr.clips.items()}
    found = {name: pipeline.wait_for(video_id) for name, video_id in ids.items()}
    for name, result in found.items():
        if name == CORRUPT:
            assert result["error"]["code"] == "not_a_video", result
        else:
            assert result["status"] == "ready", result
            assert result["prediction"], result
        if name not in (CORRUPT, TRUNCATED):
            assert len(result["prediction"]) == sampled_of(kadr.clips[name]), name
    return found


async def _put_foreign_objects(settings: Settings) -> None:
    async with open_storage(settings) as storage:
        for name, body in FOREIGN.items():
            await storage.put(settings.buckets[0], name, body, content_type="text/plain")
