"""Secrets of a running Kadr are where they have to be, and nowhere else, whatever goes wrong.

One stack with secrets that are easy to recognise lives through what makes programs talk: a video, a file that
is none, a message that cannot be read, servers that are away, passwords that are wrong, an address that is
none, a crash. Afterwards everything that was said or kept anywhere is searched for them.
"""

import asyncio
import base64
import contextlib
import io
import json
import os
import re
import secrets
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pymongo
import pytest
import urllib3
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from minio import Minio

from app.clients.kafka.broker import open_broker
from app.detection.weights import DEMO_MODEL, MODELS
from app.local.credentials import Credentials
from app.local.folder import write_private
from app.local.ports import Ports, free_ports
from app.local.processes import ROLES, create_api, create_worker
from app.local.stack import SERVERS, LocalStack
from app.settings import Settings
from models.shapes import write_clip
from tests.support.pipeline import Pipeline
from tests.support.processes import command_of, end_process, environment_of, pids
from tests.support.stack import own_environment

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]

READY_SECONDS = 180.0

CANARY = f"canary{secrets.token_hex(8)}"
"""No secret: it is laid down in every place that is searched, and has to be found there."""

# Letters that a URI has to spell otherwise, so that both spellings are looked for.
SECRETS = {
    "password of Mongo": f"mongo{secrets.token_hex(8)}@:/%p",
    "password of the runner's Mongo": f"runner{secrets.token_hex(8)}@:/%p",
    "secret key of S3": f"secret{secrets.token_hex(8)}/+s",
    "signing key of S3": f"sign{secrets.token_hex(8)}",
    # 33 bytes, so that the recognisable part stands in the base64 as it is.
    "secret of webhooks": f"whsec_hook{secrets.token_hex(16)}Ky0r",
    "wrong password of Mongo": f"wrongmongo{secrets.token_hex(8)}@:/%p",
    "wrong secret key of S3": f"wrongsecret{secrets.token_hex(8)}/+s",
}

CHILDREN = ("app.decoding.", "app.detection.checkpoint", "app.detection.quantization")
"""Processes that are given what strangers sent, or weights: they need no secret and get none."""

SHOW_VIEWS = "import importlib, sys; print(*importlib.import_module(sys.argv[1]).app.web.views)"


@dataclass
class Heard:
    """Everything that was said, by place; what is kept in files is read when the stack is still there."""

    root: Path
    said: dict[str, bytes] = field(default_factory=dict)

    def add(self, place: str, text: str | bytes) -> None:
        """Keep what was seen in a place."""
        found = text.encode(errors="replace") if isinstance(text, str) else text
        self.said[place] = self.said.get(place, b"") + found + b"\n"

    def add_answer(self, answer: httpx.Response) -> None:
        """Keep an answer over HTTP with its headers."""
        self.add(f"answer of {answer.request.url.port}", f"{answer.request.url.path} {answer.headers.raw}")
        self.add(f"answer of {answer.request.url.port}", answer.read())


def spellings(secret: str) -> set[bytes]:
    """The forms in which a secret may appear."""
    forms = {secret, quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1]}
    return {form.encode() for form in forms} | {base64.b64encode(secret.encode())}


def found_in(text: bytes, *, also: Mapping[str, str] | None = None) -> set[str]:
    """The names of the secrets in a text."""
    named = {name: spellings(secret) for name, secret in (SECRETS | dict(also or {})).items()}
    every = b"|".join(re.escape(form) for forms in named.values() for form in forms)
    matches = {match[0] for match in re.finditer(every, text)}
    return {name for name, forms in named.items() if forms & matches}


def uri(port: int, user: str, password: str) -> str:
    who = f"{user}:{quote(password, safe='')}"
    return f"mongodb://{who}@127.0.0.1:{port}/?authSource=admin&directConnection=true"


@contextlib.contextmanager
def watching(heard: Heard) -> Iterator[None]:
    """Look at all command lines, and at the environment of those that must have no secret."""
    is_over = threading.Event()

    def watch() -> None:
        seen: set[tuple[int, str]] = set()
        while not is_over.wait(0.2):
            for pid in pids():
                command = command_of(pid)
                if command and (pid, command) not in seen:
                    seen.add((pid, command))
                    heard.add("command lines", command)
                    if any(name in command for name in CHILDREN):
                        heard.add("environments of children", f"{command}: {environment_of(pid)}")

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Heard]:
    """What was heard of a stack that has seen everything that this module's first lines name."""
    root: Path = tmp_path_factory.mktemp("secrets", numbered=True)
    found = Heard(root / "data")
    with free_ports() as ports:
        given = own_environment() | {
            "RUNNER_MONGO_URI": uri(ports.mongo, "runner", SECRETS["password of the runner's Mongo"]),
            "LOG_LEVEL": "DEBUG",
            "WEBHOOK_SECRET": SECRETS["secret of webhooks"],
            "WEBHOOK_URL": f"http://127.0.0.1:{ports.s3}/{CANARY}",
            "WEBHOOK_ALLOWED_HOSTS": "127.0.0.1",
            # A copy has no export yet, so that a child makes one.
            "MODEL": str(shutil.copy(MODELS / DEMO_MODEL, root / "own.pt")),
        }
        stack = LocalStack.from_environment(given, data_dir=root / "data", ports=ports, only=SERVERS)
        write_credentials(stack)
        with stack, watching(found), decoy():
            stack.wait_ready(READY_SECONDS)
            create_runner_user(stack)
            for program in stack.processes:
                stack.start_program(program.name)
            stack.wait_ready(READY_SECONDS)
            settings = Settings.model_validate(
                {name.lower(): value for name, value in (given | stack.environment()).items()}
            )
            with Pipeline.connect(stack, settings) as pipeline:
                pipeline.api.event_hooks["response"].append(found.add_answer)
                live(pipeline, found, root)
                look_into_servers(pipeline, found)
                yield found


def live(pipeline: Pipeline, heard: Heard, root: Path) -> None:
    """Let the stack go through everything that makes programs talk."""
    write_clip(root / "clip.mp4", seed=3, frames=30, fps=25, size=(512, 288))
    (root / "none.mp4").write_bytes(b"no video")
    ready, failed = pipeline.submit(root / "clip.mp4"), pipeline.submit(root / "none.mp4")
    assert pipeline.wait_for(ready)["status"] == "ready"
    assert pipeline.wait_for(failed)["status"] == "failed"
    asyncio.run(publish_poison(pipeline))
    pipeline.api.get("/openapi.json")
    ask_everything(pipeline, heard, ready)
    let_servers_be_away(pipeline, heard, root / "clip.mp4", ready)
    with free_ports() as ports:
        be_wrong(pipeline, heard, ports)
    (heard.root / "log" / "canary.log").write_text(CANARY)


def ask_everything(pipeline: Pipeline, heard: Heard, video_id: str) -> None:
    """Ask for every page that there is, for people and for programs."""
    for path in ("/api/health", "/health/ready", "/api/status/all", f"/api/result_video/{video_id}"):
        pipeline.api.get(path)
    pipeline.api.get(f"/api/result_video/{CANARY}")
    with ThreadPoolExecutor() as at_once:
        list(at_once.map(lambda role: ask_role(pipeline, heard, role, video_id), ROLES))


def ask_role(pipeline: Pipeline, heard: Heard, role: str, video_id: str) -> None:
    port = getattr(pipeline.stack.ports, role)
    with httpx.Client(timeout=30, trust_env=False, event_hooks={"response": [heard.add_answer]}) as client:
        for view in views_of(role, heard.root):
            path = re.sub(r"\{\w+\}", video_id, view)
            for accept in ("text/html", "application/json"):
                try:
                    client.get(f"http://127.0.0.1:{port}{path}", headers={"accept": accept})
                except httpx.HTTPError as error:
                    heard.add(f"answer of {port}", repr(error))
        client.get(f"http://127.0.0.1:{port}/health?{CANARY}")


@cache
def views_of(role: str, folder: Path) -> list[str]:
    shown = subprocess.run(
        [sys.executable, "-c", SHOW_VIEWS, f"app.roles.{role}"],
        env={"DATA_DIR": str(folder / "views"), "PATH": os.defpath},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    views = shown.stdout.split()
    assert {"/health", "/agents"} <= set(views)
    return views


def let_servers_be_away(pipeline: Pipeline, heard: Heard, clip: Path, video_id: str) -> None:
    """Take Mongo and S3 away while there is work, ask for everything, and bring them back."""
    waiting = pipeline.submit(clip)
    for server in ("mongo", "s3"):
        pipeline.stack.stop_program(server)
    with clip.open("rb") as file:
        assert pipeline.api.post("/api/upload_video", files={"file": file}).status_code == 503
    pipeline.wait_until(lambda: pipeline.api.get("/health/ready").status_code == 503)
    ask_everything(pipeline, heard, video_id)
    for server in ("mongo", "s3"):
        pipeline.stack.start_program(server)
    pipeline.stack.wait_ready(READY_SECONDS)
    assert pipeline.wait_for(waiting, seconds=180)["status"] == "ready"


def be_wrong(pipeline: Pipeline, heard: Heard, ports: Ports) -> None:
    """Run processes whose passwords are wrong, whose address is none, and one that crashes."""
    stack, mongo = pipeline.stack, pipeline.stack.ports.mongo
    right = os.environ | dict(stack.given) | stack.environment()
    wrong = right | {
        "MONGO_URI": uri(mongo, "kadr", SECRETS["wrong password of Mongo"]),
        "RUNNER_MONGO_URI": uri(mongo, "kadr", SECRETS["wrong password of Mongo"]),
        "MINIO_SECRET_KEY": SECRETS["wrong secret key of S3"],
    }
    # Whoever forgets to spell a password as a URI must gets an error that is about that very text.
    no_uri = f"mongodb://kadr:{SECRETS['wrong password of Mongo']}@127.0.0.1:{mongo}/"
    api, runner = (
        create_api(ports.api),
        create_worker(stack.folder, "runner", port=ports.runner, name="wrong"),
    )
    with (
        running(heard, "api-wrong", api.command, wrong),
        httpx.Client(base_url=f"http://127.0.0.1:{ports.api}", trust_env=False, timeout=30) as client,
    ):
        client.event_hooks["response"].append(heard.add_answer)
        pipeline.wait_until(lambda: answers(client), seconds=60)
        for path in ("/api/health", "/health/ready", "/api/status/all"):
            client.get(path)
        assert client.post("/api/upload_video", files={"file": b"bytes"}).status_code == 503
    with running(heard, "runner-wrong", runner.command, wrong) as log:
        pipeline.wait_until(lambda: "not available" in log.read_text(encoding="utf-8"), seconds=60)
    end(heard, "recover-wrong", (sys.executable, "-m", "app.cli", "recover", "--dry-run"), wrong)
    for name, command in (("api", api.command), ("runner", runner.command)):
        end(heard, f"{name}-no-uri", command, right | {"MONGO_URI": no_uri, "RUNNER_MONGO_URI": no_uri})
    # A traceback, with all settings in reach.
    crash = (
        "from app.settings import load_settings; s = load_settings(); print(s, repr(s)); raise ValueError(s)"
    )
    end(heard, "crash", (sys.executable, "-c", crash), right)
    end(heard, "runner-crash", runner.command[:1] + runner.command[3:], right | {"DATA_DIR": "/dev/null/x"})
    assert "Traceback" in (heard.root / "log" / "crash.log").read_text(encoding="utf-8")
    assert "Traceback" in (heard.root / "log" / "runner-crash.log").read_text(encoding="utf-8")


@contextlib.contextmanager
def running(
    heard: Heard, name: str, command: tuple[str, ...], environment: Mapping[str, str]
) -> Iterator[Path]:
    """A process that writes into a log beside the others, until the block ends."""
    path = heard.root / "log" / f"{name}.log"
    with path.open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            yield path
        finally:
            end_process(process)


def end(heard: Heard, name: str, command: tuple[str, ...], environment: Mapping[str, str]) -> None:
    """Run a process that fails by itself."""
    with (heard.root / "log" / f"{name}.log").open("wb") as log:
        ended = subprocess.run(command, env=environment, stdout=log, stderr=log, check=False, timeout=60)
    assert ended.returncode != 0


def answers(client: httpx.Client) -> bool:
    try:
        return bool(client.get("/health/live").status_code)
    except httpx.HTTPError:
        return False


@contextlib.contextmanager
def decoy() -> Iterator[None]:
    """A process that is taken for a decoding child, with the canary where a secret must not be."""
    command = (sys.executable, "-c", "input()", "app.decoding.", CANARY)
    with subprocess.Popen(command, env={"NAME": CANARY}, stdin=subprocess.PIPE) as process:
        try:
            yield
        finally:
            process.kill()


def write_credentials(stack: LocalStack) -> None:
    stack.folder.create()
    known = Credentials(
        mongo_user="kadr",
        mongo_password=SECRETS["password of Mongo"],
        s3_access_key=secrets.token_hex(10),
        s3_secret_key=SECRETS["secret key of S3"],
        s3_signing_key=SECRETS["signing key of S3"],
    )
    write_private(stack.folder.credentials, json.dumps(asdict(known)))


def create_runner_user(stack: LocalStack) -> None:
    with pymongo.MongoClient[dict[str, Any]](stack.environment()["MONGO_URI"]) as mongo:
        password = SECRETS["password of the runner's Mongo"]
        mongo.admin.command("createUser", "runner", pwd=password, roles=[{"role": "root", "db": "admin"}])


async def publish_poison(pipeline: Pipeline) -> None:
    """Write what cannot be read, so that it is set aside with a reason."""
    async with AIOKafkaProducer(bootstrap_servers=pipeline.settings.kafka_bootstrap_servers) as producer:
        await producer.send_and_wait("outbox_events", value=CANARY.encode(), key=b"poison")


def look_into_servers(pipeline: Pipeline, heard: Heard) -> None:
    """Read all objects, documents and messages."""
    found = pipeline.stack.environment()
    pool = urllib3.PoolManager(timeout=10, retries=False)
    keys = {"access_key": found["MINIO_ACCESS_KEY"], "secret_key": found["MINIO_SECRET_KEY"]}
    s3 = Minio(found["MINIO_ENDPOINT"], **keys, secure=False, http_client=pool)
    s3.put_object("videos", f"archive/{CANARY}", io.BytesIO(CANARY.encode()), len(CANARY))
    for bucket in s3.list_buckets():
        for each in s3.list_objects(bucket.name, recursive=True, include_user_meta=True):
            facts = s3.stat_object(bucket.name, str(each.object_name))
            heard.add("objects", f"{bucket.name}/{each.object_name} {facts.metadata}")
            answer = s3.get_object(bucket.name, str(each.object_name))
            heard.add("objects", answer.read())
            answer.close()
            answer.release_conn()
    pool.clear()
    pipeline.mongo["kadr_test"]["canary"].insert_one({"word": CANARY})
    for database in pipeline.mongo.list_database_names():
        for name in pipeline.mongo[database].list_collection_names():
            for document in pipeline.mongo[database][name].find():
                heard.add("documents", f"{database}.{name} {document}")
    for topic, message in asyncio.run(read_topics(pipeline)):
        heard.add(f"messages of {topic}", message)


async def read_topics(pipeline: Pipeline) -> list[tuple[str, bytes]]:
    """Return key, headers and value of every message that Kafka has."""
    servers = pipeline.settings.kafka_bootstrap_servers
    found: list[tuple[str, bytes]] = []
    async with (
        open_broker(servers) as broker,
        AIOKafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False) as consumer,
    ):
        counts = await broker.partition_counts(await consumer.topics())
        partitions = [
            TopicPartition(name, number) for name, count in counts.items() for number in range(count)
        ]
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(each) < ends[each] for each in partitions]):
            for partition, records in (await consumer.getmany(timeout_ms=500)).items():
                found += [
                    (partition.topic, b"%r %r %r" % (record.key, record.headers, record.value))
                    for record in records
                ]
    return found


def content(path: Path) -> bytes:
    """What was written into a file; nothing in a folder, or in a file that has gone meanwhile.

    Holes are passed over: Kafka makes each index 10 MiB long before there is anything in it.
    """
    pieces, at = [], 0
    with contextlib.suppress(OSError), path.open("rb") as file:
        while True:  # until there is no more data, which is an OSError too
            at = file.seek(at, os.SEEK_DATA)
            hole = file.seek(at, os.SEEK_HOLE)
            file.seek(at)
            pieces.append(file.read(hole - at))
            at = hole
    return b"\0".join(pieces)


def test_no_secret_was_said_anywhere(heard: Heard) -> None:
    leaks = {place: found for place, text in heard.said.items() if (found := found_in(text))}
    assert leaks == {}


def test_secrets_lie_in_files_that_only_their_owner_can_read_and_in_no_others(heard: Heard) -> None:
    meant = {heard.root / "credentials.json", *heard.root.glob("run/*.json")}
    holding = {path for path in heard.root.rglob("*") if found_in(content(path))}
    assert heard.root / "credentials.json" in holding
    assert holding <= meant
    private = {*meant, heard.root / "run" / "supervisord.conf"}
    assert {path.name for path in private if stat.S_IMODE(path.stat().st_mode) != 0o600} == set()
    assert stat.S_IMODE(heard.root.stat().st_mode) == 0o700


def test_every_place_was_really_searched(heard: Heard) -> None:
    found = {place for place, text in heard.said.items() if found_in(text, also={"canary": CANARY})}
    assert {"command lines", "environments of children", "objects", "documents"} <= found
    assert "messages of rejected" in found
    assert sum(place.startswith("answer of") for place in heard.said) == 2 + len(ROLES)
    children = heard.said["environments of children"]
    assert b"app.decoding.child" in children
    assert b"app.detection.checkpoint" in children
    logs = {path.name for path in heard.root.glob("log/*.log")}
    assert {f"{name}.log" for name in (*SERVERS, "api", *ROLES, "supervisord")} <= logs
    assert b"is not available" in b"".join(path.read_bytes() for path in heard.root.glob("log/*.log"))
    assert found_in((heard.root / "log" / "canary.log").read_bytes(), also={"canary": CANARY}) == {"canary"}
