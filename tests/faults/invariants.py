"""What must hold after every fault, seen from outside: over HTTP, in S3, in Mongo and in Kafka.

A check returns a sentence for each thing that is wrong. What settles a moment later gets that moment.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import msgspec

from api.lifecycle.sweeps import Sweeps
from app.clients.main_db.video_outbox import video_outbox
from app.clients.main_db.webhook_deliveries import webhook_deliveries
from app.clients.mongo import open_mongo
from app.clients.s3.storage import open_storage
from app.domain.objects import (
    detection_object,
    failed_object,
)
from app.errors import KadrError
from app.rejected import PREFIX as REJECTED_PREFIX
from app.suspects import DEATHS
from tables.videos import Head
from tests.faults.comparison import Difference, compare
from tests.faults.fault import Field
from tests.faults.kadr import FOREIGN, Kadr
from tests.faults.ledger import folder_bounds

SETTLED_WITHIN: Final = 20.0
"""Seconds for what follows an end: rows are deleted, offsets committed, deletions confirmed."""

LATER: Final = timedelta(hours=25)
"""The sweep's clock: by then every upload that nobody knows of is old enough."""

SHOWN: Final = 5
"""Things named in a sentence; the others are counted."""


@dataclass
class Findings:
    """What is known of a step.

    Attributes:
        videos: that were submitted, acknowledged or not.
        frames: in their results.
        lost: sampled frames that are missing in a result, or whose video failed without a right to.
        doubled: frames that are in a result twice.
        stuck: videos that did not end, and programs that did not come back.
        violations: a sentence for each thing that is wrong.
    """

    videos: int = 0
    frames: int = 0
    lost: int = 0
    doubled: int = 0
    stuck: int = 0
    violations: list[str] = field(default_factory=list)


def check_videos(
    kadr: Kadr, at: Field, ends: Mapping[str, dict[str, Any]], unanswered: Mapping[str, str]
) -> Findings:
    """Judge how each video of a step ended.

    Args:
        kadr: what is running.
        at: the step's field.
        ends: the body of each video's result, by id.
        unanswered: uploads that exist although their answer was lost, with the names of their clips.
    """
    findings = Findings()
    for video_id, name in {**unanswered, **at.acknowledged}.items():
        findings.videos += 1
        end = ends.get(video_id)
        if end is None:
            findings.stuck += 1
            record = kadr.pipeline.record(video_id)
            findings.violations.append(f"{name} {video_id} did not end; runner_db: {record}")
        elif video_id not in at.deleted and name in kadr.reference:
            findings.frames += len(end.get("prediction", []))
            difference = judge(at, video_id, end, kadr.reference[name])
            findings.lost += difference.lost
            findings.doubled += difference.doubled
            findings.violations += [f"{name} {video_id}: {each}" for each in _some(difference.sentences)]
    return findings


def judge(at: Field, video_id: str, end: dict[str, Any], expected: dict[str, Any]) -> Difference:
    """Compare how a video ended with the undisturbed run."""
    wanted = expected.get("prediction", [])
    code = end.get("error", {}).get("code")
    if video_id in at.cancelled:
        said = [] if code == "cancelled" else [f"it was cancelled and ended as {end['status']} {code or ''}"]
        return Difference(0, 0, said)
    if end["status"] == "failed" and code in at.excused.get(video_id, ()):
        return Difference()
    if end["status"] == "unknown" and at.may_be_cleared(video_id):
        return Difference()
    if (end["status"], code) != (expected["status"], expected.get("error", {}).get("code")):
        return Difference(len(wanted), 0, [f"it ended as {end['status']} {end.get('error', '')}"])
    keys = wanted_keys(at)
    return compare(
        end.get("prediction", []), wanted, may_fail=lambda frame: f"{video_id}/1/{frame}".encode() in keys
    )


def _some(sentences: list[str]) -> list[str]:
    more = len(sentences) - SHOWN
    return [*sentences[:SHOWN], f"and {more} more"] if more > 0 else sentences


def wanted_keys(at: Field) -> set[bytes]:
    """Return the keys that may be set aside: poison, and messages that killed their worker each time."""
    deaths: dict[str, int] = {}
    for path in at.failpoints.glob("handle.*.hits"):
        for line in path.read_text(encoding="utf-8").splitlines():
            key = line.partition(" ")[2]
            deaths[key] = deaths.get(key, 0) + 1
    return at.poison | {key.encode() for key, count in deaths.items() if count >= DEATHS}


def check_all(kadr: Kadr, at: Field) -> list[str]:
    """Check everything but the results themselves; what an earlier step has reported is not repeated."""
    # Only once, not until it finds nothing: what went back stays wrong, even if it goes forward again.
    found = [f"records: {each}" for each in settle(kadr.observer.look_at_all)]
    found += [f"records: {each}" for each in kadr.observer.backward_moves()]
    published_again = kadr.pipeline.settings.redrive_after.total_seconds() + SETTLED_WITHIN
    checks: tuple[tuple[str, float, Callable[[], list[str]]], ...] = (
        ("outbox", published_again, lambda: _outbox(kadr)),
        ("deleted", SETTLED_WITHIN, lambda: _deleted(kadr, at)),
        ("objects", SETTLED_WITHIN, lambda: asyncio.run(_objects(kadr))),
        ("lag", SETTLED_WITHIN, lambda: asyncio.run(kadr.ledger.unread())),
        ("tables", SETTLED_WITHIN, lambda: _tables(kadr)),
        ("rows", SETTLED_WITHIN, lambda: _rows(kadr, at)),
        ("rejected", SETTLED_WITHIN, lambda: asyncio.run(_rejected(kadr, at))),
        ("Kafka's folder", SETTLED_WITHIN, lambda: _folder(kadr)),
    )
    for name, seconds, check in checks:
        fresh = settle(check, but=kadr.reported, seconds=seconds)
        kadr.reported.update(fresh)
        found += [f"{name}: {each}" for each in fresh]
    return found


def settle(
    check: Callable[[], list[str]], *, but: Collection[str] = (), seconds: float = SETTLED_WITHIN
) -> list[str]:
    """Return what a check finds wrong once it finds nothing, or when the time is over.

    Args:
        check: is asked again and again.
        but: sentences that do not count.
        seconds: for how long it is asked.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = [each for each in check() if each not in but]
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - look again; aiokafka cancels itself
            found = [f"it cannot be looked at: {type(error).__name__}: {error}"]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def _outbox(kadr: Kadr) -> list[str]:
    """Everything asked for was published, and every deletion is confirmed and forgotten."""
    main = kadr.pipeline.mongo["main_db"]
    new = [each["_id"] for each in main["outbox"].find({"status": "new"}, ["_id"])]
    leaving = [each["_id"] for each in main["outbox"].find({"deleted_at": {"$ne": None}}, ["_id"])]
    commands = [each["_id"] for each in main["commands"].find({}, ["_id"])]
    texts = {"were never sent": new, "are deleted, but not forgotten": leaving}
    texts["are commands of which nothing came"] = commands
    return _named(texts)


def _deleted(kadr: Kadr, at: Field) -> list[str]:
    known = [
        video_id
        for video_id in at.deleted
        if kadr.pipeline.api.get(f"/api/result_video/{video_id}").status_code != httpx.codes.NOT_FOUND
    ]
    return _named({"deleted videos are still known": known})


async def _objects(kadr: Kadr) -> list[str]:
    """S3 holds what the outbox says, what others have put there, and nothing else, after the sweep."""
    settings = kadr.pipeline.settings
    bucket = settings.buckets[0]
    async with open_storage(settings) as storage, open_mongo(settings.mongo_uri) as mongo:
        outbox = video_outbox(mongo, settings)
        sweeps = Sweeps(
            storage,
            outbox,
            buckets=settings.buckets,
            deliveries=webhook_deliveries(mongo),
            now=lambda: datetime.now(UTC) + LATER,
        )
        await sweeps.remove_orphans()
        found = {item.name async for item in storage.names(bucket, "")}
        sentences = [
            f"{name} of somebody else is not what it was"
            for name, body in FOREIGN.items()
            if name not in found or await storage.get(bucket, name) != body
        ]
        unfinished = await storage._s3.unfinished_uploads(bucket, "")
        sentences += [f"an upload of {each.name} was never ended" for each in unfinished]
        kadr.bodies |= {REJECTED_PREFIX + each.position for each in await kadr.ledger.rejected()}
        documents = list(kadr.pipeline.mongo["main_db"]["outbox"].find({}))
        left, missing = compare_objects(found - FOREIGN.keys() - kadr.bodies, documents)
        sentences += _named({"objects that nobody knows": left, "objects are missing": missing})
    return sentences


def compare_objects(found: set[str], documents: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return which objects no document accounts for, and which are missing.

    A video has its input, where it is ours, and either a result or the reason why there is none.
    """
    due: set[str] = set()
    missing: list[str] = []
    for document in documents:
        if document["input_owned"]:
            due.add(document["payload"]["object"])
        ends = {detection_object(document["_id"]), failed_object(document["_id"])}
        seen = ends & found
        if len(seen) == 1:
            due |= seen
        elif seen:
            missing.append(f"one end only of {document['_id']}")
            due |= seen
        elif "sent_at" in document or document.get("outcome") != "failed":  # else its end is in Mongo only
            missing.append(f"the end of {document['_id']}")
    return sorted(found - due), sorted(due - found) + missing


def _tables(kadr: Kadr) -> list[str]:
    """A worker that lost its disk would find nothing of finished videos but their tombstones."""
    asyncio.run(kadr.ledger.read_tables())
    known = {each.encode() for each in kadr.observer.known()}
    rows = [key for key in kadr.ledger.frames.alive if key.partition(b"/")[0] in known]
    bits, open_ = [], []
    for key, value in kadr.ledger.videos.alive.items():
        video_id, slash, _ = key.partition(b"/")
        if video_id not in known:
            continue
        if slash:
            bits.append(key)
        elif not msgspec.json.decode(value, type=Head).is_tombstone:
            open_.append((key, value))
    texts = {"rows of finished videos are left": rows, "bits of finished videos are left": bits}
    return _named({**texts, "heads are no tombstones": open_})


def _named(found: Mapping[str, Sequence[object]]) -> list[str]:
    """Return a sentence for each kind of thing that there should be none of."""
    return [f"{len(each)} {text}: {each[:SHOWN]}" for text, each in found.items() if each]


def _rows(kadr: Kadr, at: Field) -> list[str]:
    """The worker itself says the same of its own disk."""
    sentences = []
    for video_id in at.acknowledged:
        found = kadr.pipeline.page("results", f"/videos/{video_id}")
        if found.get("rows") or found.get("head", {}).get("state") == "open":
            sentences.append(f"{video_id} has {len(found['rows'])} rows and the head {found['head']}")
    return sentences


async def _rejected(kadr: Kadr, at: Field) -> list[str]:
    allowed = wanted_keys(at)
    fresh = [each for each in await kadr.ledger.rejected() if each.position not in kadr.set_aside]
    strange = [each for each in fresh if (each.key or b"") not in allowed]
    return [f"{each.position} with the key {each.key!r} was set aside: {each.headers}" for each in strange]


def note_rejected(kadr: Kadr) -> None:
    """Take what is set aside now as known in the next steps."""
    with contextlib.suppress(KadrError):  # a check has said that Kafka is away
        kadr.set_aside = {each.position for each in asyncio.run(kadr.ledger.rejected())}


def _folder(kadr: Kadr) -> list[str]:
    settings = kadr.pipeline.settings
    return folder_bounds(kadr.pipeline.stack.folder.server("kafka") / "data", settings.task_partitions)
