"""How every process logs: one line per event, flushed at once, with its facts as fields."""

import logging
import re
import sys
import time
from datetime import UTC, datetime
from typing import Final

import msgspec

from app.settings import Settings
from app.telemetry.subject import subject
from app.telemetry.tracing import trace_named

logger = logging.getLogger(__name__)

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

QUIET: Final = {
    "aiokafka": logging.ERROR,
    "faust": logging.WARNING,
    "mode": logging.WARNING,
    "aiohttp.access": logging.WARNING,
    "pymongo": logging.WARNING,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "uvicorn.access": logging.WARNING,
}
"""Libraries that would tell of every request, or of every try while a server is away."""

SAME_LINE_EVERY: Final = 60.0
"""Seconds. A library repeats one sentence for each partition and try: 63,000 lines in 81 s were seen."""

AWAY: Final = re.compile(
    "NodeNotReadyError|KafkaConnectionError|RequestTimedOutError"
    "|Unable connect to node|Unable to update metadata"
)
"""In how many words Kafka's client says that the broker is away; `app.clients.presence` says it once."""

ERROR_OF_NOBODY: Final = "FutureMessage exception was never retrieved"
"""Faust keeps two futures of each message that it sends, and gives us one: the other fails unseen."""


CHATTY: Final = frozenset({"aiokafka", "faust", "mode", "opentelemetry", "pymongo", "urllib3"})
"""Libraries that say the same again and again while a server is away."""

OWN_HANDLERS: Final = ("uvicorn", "uvicorn.error", "uvicorn.access")
"""Loggers to which a server gives handlers of its own before we come: their lines are to be like ours."""


def set_up_logs(role: str, settings: Settings) -> None:
    """Send everything to standard error, one line each, flushed."""
    # Not sys.stderr: Faust puts a logger in its place, and lines would go in circles.
    handler = _FlushingHandler(sys.__stderr__)
    handler.setFormatter(_JsonFormatter(role) if settings.log_format == "json" else _TextFormatter(role))
    handler.addFilter(_Once())
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    for name, level in QUIET.items():
        logging.getLogger(name).setLevel(level)
    for name in OWN_HANDLERS:
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def describe_settings(role: str, settings: Settings) -> None:
    """Log that the process starts, and warn for each secret that everybody knows."""
    logger.info("starting", extra={"role": role})
    for name in settings.default_secrets:
        logger.warning("a default secret is in use: set %s", name)


class _FlushingHandler(logging.StreamHandler):  # type: ignore[type-arg]  # the stream's type does not matter
    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        self.flush()


class _Once(logging.Filter):
    """Lets the same sentence of a library through once a minute, whatever numbers are in it."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        library = record.name.partition(".")[0]
        if library == "asyncio" and record.getMessage().startswith(ERROR_OF_NOBODY):
            return False
        if library not in CHATTY:
            return True
        if library == "aiokafka" and record.levelno == logging.ERROR:
            # It calls an error what it tries again by itself, such as a coordinator that is being chosen.
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        is_away = AWAY.search(record.getMessage())
        key = ("", AWAY.pattern) if is_away else (record.name, re.sub(r"\d+", "#", str(record.msg)))
        now = time.monotonic()
        if now - self._said.get(key, -SAME_LINE_EVERY) < SAME_LINE_EVERY:
            return False
        self._said[key] = now
        return True


class _TextFormatter(logging.Formatter):
    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        line = f"{when} {record.levelname:<8} {self._role:<9} {record.getMessage()}{fields}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _JsonFormatter(logging.Formatter):
    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "role": self._role,
            "logger": record.name,
            "event": record.getMessage(),
        }
        line |= {name: _plain(value) for name, value in _fields(record).items()}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def _plain(value: object) -> object:
    """Return a fact as JSON has it: numbers stay numbers, everything that JSON lacks becomes a text."""
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    if about := fields.get("video_id") or subject():
        fields["video_id"] = about
    if trace := trace_named(str(fields.get("video_id", ""))):
        fields["trace_id"] = trace
    return fields
