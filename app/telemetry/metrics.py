"""Every number that Kadr tells of itself: its name, its labels, what it means and who shows it.

No label holds what a client or a message has chosen: ids, names and paths would make a series each. Codes
pass through `known_code`, routes through their templates. Counters begin anew with their process, as
Prometheus expects.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from prometheus_client import Counter, Gauge, Histogram, Info

from app.domain.failures import SENTENCES

Metric: TypeAlias = Counter | Gauge | Histogram | Info
Role: TypeAlias = Literal["api", "outbox", "runner", "inference", "results"]

WORKERS: Final[tuple[Role, ...]] = ("outbox", "runner", "inference", "results")
EVERYBODY: Final[tuple[Role, ...]] = ("api", *WORKERS)

CODES: Final = frozenset(SENTENCES) | {"malformed", "not_found", "undecodable_picture"}
"""Codes that messages, frames and videos have in Kadr itself."""

OTHER: Final = "other"
"""The label of everything else, such as a code that an outside program has put into a message."""

BRIEF: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Seconds: upper ends for what somebody waits for."""

LONG: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400)
"""Seconds: upper ends for what takes as long as a video."""


@dataclass(frozen=True)
class Entry:
    """A number, and which processes show it.

    Attributes:
        labels: names of its labels; those of an `Info` are its facts.
    """

    metric: Metric
    kind: Literal["counter", "gauge", "histogram", "info"]
    name: str
    meaning: str
    labels: tuple[str, ...]
    roles: tuple[Role, ...]


CATALOGUE: Final[list[Entry]] = []
"""In the order of docs/metrics.md."""


def known_code(code: str) -> str:
    """Return a code as a label: itself, if it is one of ours."""
    return code if code in CODES else OTHER


def _counter(name: str, meaning: str, roles: Sequence[Role], *labels: str) -> Counter:
    metric = Counter(name, meaning, labels, registry=None)
    CATALOGUE.append(Entry(metric, "counter", f"{name}_total", meaning, labels, tuple(roles)))
    return metric


def _gauge(name: str, meaning: str, roles: Sequence[Role], *labels: str) -> Gauge:
    metric = Gauge(name, meaning, labels, registry=None)
    CATALOGUE.append(Entry(metric, "gauge", name, meaning, labels, tuple(roles)))
    return metric


def _histogram(
    name: str, meaning: str, roles: Sequence[Role], *labels: str, buckets: Sequence[float]
) -> Histogram:
    metric = Histogram(name, meaning, labels, registry=None, buckets=buckets)
    CATALOGUE.append(Entry(metric, "histogram", name, meaning, labels, tuple(roles)))
    return metric


def _info(name: str, meaning: str, roles: Sequence[Role], *facts: str) -> Info:
    metric = Info(name, meaning, registry=None)
    CATALOGUE.append(Entry(metric, "info", f"{name}_info", meaning, facts, tuple(roles)))
    return metric


BUILD: Final = _info(
    "kadr_build", "Always 1; the labels say what runs here.", EVERYBODY, "version", "role", "python"
)
STAGE_SECONDS: Final = _histogram(
    "kadr_stage_seconds",
    "Seconds that a stage took: for one video, or for a batch where it works in batches (detect, gather).",
    EVERYBODY,
    "stage",
    buckets=LONG,
)

# What every worker does

MESSAGES_HANDLED: Final = _counter(
    "kadr_messages_handled", "Messages that were acknowledged, those set aside included.", WORKERS, "topic"
)
MESSAGES_REJECTED: Final = _counter(
    "kadr_messages_rejected",
    "Messages that were set aside in the topic rejected, by the reason's code.",
    WORKERS,
    "topic",
    "code",
)
LAG: Final = _gauge(
    "kadr_consumer_lag",
    "Messages of this worker's partitions that its group has not committed, as seen in the last 10 s; "
    "absent while Kafka does not answer or partitions are given out anew.",
    WORKERS,
    "topic",
)
AGENT_WAITING: Final = _gauge(
    "kadr_agent_waiting",
    "1 while an agent waits for a server or a disk before it can go on.",
    WORKERS,
    "agent",
)
AGENT_HELD: Final = _gauge(
    "kadr_agent_held_seconds",
    "Seconds for which an agent has had its oldest message in hand without waiting for anything.",
    WORKERS,
    "agent",
)
SETTLED: Final = _gauge(
    "kadr_worker_settled", "1 while the worker has its partitions and its tables are recovered.", WORKERS
)

# api

REQUEST_SECONDS: Final = _histogram(
    "kadr_http_request_seconds",
    "Seconds from a request's head to the head of its answer, by the route's template and the status.",
    ("api",),
    "method",
    "route",
    "status",
    buckets=BRIEF,
)
REQUESTS_OPEN: Final = _gauge(
    "kadr_http_requests_open",
    "Requests that are being answered, those that listen for news included.",
    ("api",),
)
VIDEOS_ACCEPTED: Final = _counter(
    "kadr_videos_accepted", "Videos that were recorded, to be looked at.", ("api",)
)
UPLOADS_OPEN: Final = _gauge("kadr_uploads_open", "Uploads that are arriving now.", ("api",))
UPLOAD_BYTES: Final = _counter(
    "kadr_upload_bytes", "Bytes of videos that have arrived through the API, whole or not.", ("api",)
)
SERVICE_UP: Final = _gauge(
    "kadr_service_up", "1 while a server that the API needs answers, else 0.", ("api",), "service"
)
WEBHOOK_TRIES: Final = _counter(
    "kadr_webhook_deliveries",
    "Tries to deliver a webhook: delivered, retried (it is tried again later) or failed (given up).",
    ("api",),
    "outcome",
)
VIDEOS_ENDED: Final = _counter(
    "kadr_videos_ended",
    "Videos of which the end was noted, once for each attempt; the code of a ready one is empty.",
    ("api", "outbox"),
    "outcome",
    "code",
)

# outbox

OUTBOX_OLDEST: Final = _gauge(
    "kadr_outbox_oldest_seconds",
    "Age of the oldest video that is accepted and not published, in seconds; 0 if there is none. "
    "It goes on growing while Mongo does not answer.",
    ("outbox",),
)
OUTBOX_PUBLISHED: Final = _counter(
    "kadr_outbox_published", "What was asked for and is on Kafka, by its kind.", ("outbox",), "kind"
)
OUTBOX_FAILED_TRIES: Final = _counter(
    "kadr_outbox_failed_tries", "Tries to publish that failed and are repeated.", ("outbox",)
)
OUTBOX_REDRIVEN: Final = _counter(
    "kadr_outbox_redriven",
    "Videos published once more, because nothing came of them for too long.",
    ("outbox",),
)

# runner

FRAMES_DECODED: Final = _counter(
    "kadr_frames_decoded", "Frames that were sent to inference, those sent again included.", ("runner",)
)
FRAMES_IN_FLIGHT: Final = _gauge(
    "kadr_frames_in_flight", "Frames of this runner that are not known to be on Kafka yet.", ("runner",)
)
BACKLOG: Final = _gauge(
    "kadr_backlog_frames",
    "Frames that wait for inference or are in its hands, as every runner sees them: take the maximum.",
    ("runner",),
)
INFERENCE_WORKERS: Final = _gauge(
    "kadr_inference_workers", "Members of the group inference, as every runner sees them.", ("runner",)
)
VIDEOS_OPEN: Final = _gauge("kadr_videos_open", "Videos that this runner decodes in turns now.", ("runner",))
VIDEOS_WAITING: Final = _gauge(
    "kadr_videos_waiting",
    "Accepted videos that no runner has opened yet, as every runner sees them; counted up to 1,000.",
    ("runner",),
)
VIDEOS_WAITING_OLDEST: Final = _gauge(
    "kadr_videos_waiting_oldest_seconds",
    "For how long the first of them has waited, in seconds; 0 if there is none.",
    ("runner",),
)
DECODER_DEATHS: Final = _counter(
    "kadr_decoder_deaths", "Decoding children that ended without an outcome, by how.", ("runner",), "code"
)
SPLITS_ENDED: Final = _counter(
    "kadr_splits_ended",
    "Splits that were ended by this runner: split, or failed with this code.",
    ("runner",),
    "outcome",
    "code",
)

# inference

FRAMES_DETECTED: Final = _counter(
    "kadr_frames_detected", "Frames that were looked at, those looked at again included.", ("inference",)
)
FRAMES_FAILED: Final = _counter(
    "kadr_frames_failed",
    "Frames among them that could not be looked at, by the code.",
    ("inference",),
    "code",
)
OBJECTS_FOUND: Final = _counter("kadr_objects_found", "Objects that were found.", ("inference",))

# results

FRAMES_GATHERED: Final = _counter(
    "kadr_frames_gathered", "Frames that have arrived, those that arrived again included.", ("results",)
)
FRAMES_MISSING: Final = _counter(
    "kadr_frames_missing", "Frames that were missing and asked for again.", ("results",)
)
FRAMES_LOST: Final = _counter(
    "kadr_frames_lost", "Frames that were missing after all rounds: their videos fail.", ("results",)
)
RESULTS_STORED: Final = _counter("kadr_results_stored", "Results that were written into S3.", ("results",))
RESULT_FRAMES: Final = _counter(
    "kadr_result_frames", "Frames in the results that were written into S3.", ("results",)
)
RESULT_BYTES: Final = _counter("kadr_result_bytes", "Bytes of results that were written.", ("results",))
