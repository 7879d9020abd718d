"""The three local servers: they do what the real ones do, come back when killed, and keep strangers out."""

import io
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from minio import Minio
from minio.error import S3Error
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from app.local.stack import SERVERS, LocalStack
from tests.support.stack import wait_until

pytestmark = [pytest.mark.servers, pytest.mark.timeout(180)]

BACK_SECONDS = 60


@pytest.fixture
def s3(servers: LocalStack) -> Iterator[Minio]:
    found = servers.environment()
    pool = urllib3.PoolManager(timeout=10, retries=False)
    yield Minio(
        found["MINIO_ENDPOINT"],
        access_key=found["MINIO_ACCESS_KEY"],
        secret_key=found["MINIO_SECRET_KEY"],
        secure=False,
        http_client=pool,
    )
    pool.clear()


@pytest.fixture
def mongo(servers: LocalStack) -> Iterator[MongoClient[dict[str, object]]]:
    with MongoClient[dict[str, object]](
        servers.environment()["MONGO_URI"], serverSelectionTimeoutMS=10_000
    ) as client:
        yield client


def read(s3: Minio, bucket: str, name: str) -> bytes:
    response = s3.get_object(bucket, name)
    try:
        return bytes(response.read())
    finally:
        response.close()
        response.release_conn()


def test_an_object_outlives_a_kill_of_s3(servers: LocalStack, s3: Minio) -> None:
    s3.make_bucket("kept")
    s3.put_object("kept", "a", io.BytesIO(b"bytes"), 5)
    before = servers.kill_program("s3")
    servers.wait_ready(BACK_SECONDS, only=["s3"])
    assert servers.pid_of("s3") not in {0, before}
    assert read(s3, "kept", "a") == b"bytes"


def test_a_document_outlives_a_kill_of_mongo(
    servers: LocalStack, mongo: MongoClient[dict[str, object]]
) -> None:
    mongo.test.kept.insert_one({"_id": 1, "word": "bytes"})
    before = servers.kill_program("mongo")
    servers.wait_ready(BACK_SECONDS, only=["mongo"])
    assert servers.pid_of("mongo") not in {0, before}
    assert mongo.test.kept.find_one({"_id": 1}) == {"_id": 1, "word": "bytes"}


async def test_a_message_outlives_a_kill_of_kafka(servers: LocalStack) -> None:
    where = servers.environment()["KAFKA_BOOTSTRAP_SERVERS"]
    admin = AIOKafkaAdminClient(bootstrap_servers=where)
    await admin.start()
    await admin.create_topics([NewTopic("kept", num_partitions=1, replication_factor=1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=where, acks="all") as producer:
        await producer.send_and_wait("kept", b"bytes")
    before = servers.kill_program("kafka")
    servers.wait_ready(BACK_SECONDS, only=["kafka"])
    assert servers.pid_of("kafka") not in {0, before}
    async with AIOKafkaConsumer("kept", bootstrap_servers=where, auto_offset_reset="earliest") as consumer:
        assert (await consumer.getone()).value == b"bytes"


def test_a_frozen_server_hangs_until_it_is_thawed(servers: LocalStack) -> None:
    pid = servers.freeze_program("mongo")
    try:
        stat_file = Path(f"/proc/{pid}/stat")
        # The kernel stops one thread after the other, a moment after the signal.
        wait_until(lambda: stat_file.read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "T")
    finally:
        servers.thaw_program("mongo")
    servers.wait_ready(BACK_SECONDS, only=["mongo"])
    assert servers.pid_of("mongo") == pid


def test_s3_refuses_who_has_no_key(servers: LocalStack) -> None:
    pool = urllib3.PoolManager(retries=False)
    with pytest.raises(S3Error, match="AccessDenied"):
        Minio(servers.environment()["MINIO_ENDPOINT"], secure=False, http_client=pool).list_buckets()
    pool.clear()


@pytest.mark.parametrize("offset", [1, 2, 3])
def test_no_side_door_of_s3_shows_or_deletes_an_object(servers: LocalStack, s3: Minio, offset: int) -> None:
    """The master's page says how the server does, and nothing of what it keeps."""
    if not s3.bucket_exists("hidden"):
        s3.make_bucket("hidden")
    s3.put_object("hidden", "secret-name", io.BytesIO(b"bytes"), 5)
    pool = urllib3.PoolManager(retries=False, timeout=5)
    for method in ("GET", "PUT", "DELETE"):
        for path in ("/", "/buckets/hidden/", "/buckets/hidden/secret-name", "/dir/assign", "/col/delete"):
            answer = pool.request(method, f"http://127.0.0.1:{servers.ports.s3 + offset}{path}")
            assert answer.status >= 400 or (path == "/" and b"hidden" not in answer.data), (method, path)
    pool.clear()
    assert read(s3, "hidden", "secret-name") == b"bytes"


def test_mongo_refuses_who_has_no_password(servers: LocalStack) -> None:
    address = f"mongodb://127.0.0.1:{servers.ports.mongo}/?directConnection=true"
    with MongoClient[dict[str, object]](address) as stranger, pytest.raises(OperationFailure):
        stranger.test.kept.insert_one({})


def test_nothing_listens_beyond_this_machine(servers: LocalStack) -> None:
    loopback = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}
    wanted = {listening.port for name in SERVERS for listening in servers.ports.listening(name)}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
            address, _, port = line.split()[1].rpartition(":")
            if int(port, 16) in wanted and line.split()[3] == "0A":
                assert address in loopback, line


def test_secrets_are_private_and_in_no_command_line(servers: LocalStack) -> None:
    found = servers.credentials
    secrets = [found.mongo_password, found.s3_secret_key, found.s3_signing_key]
    for path in (servers.folder.credentials, servers.folder.launch_file("s3"), servers.folder.configuration):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for now in servers.status():
        command = Path(f"/proc/{now.pid}/cmdline").read_text(encoding="utf-8")
        assert not any(secret in command for secret in secrets)


async def test_kafka_creates_no_topic_that_nobody_declared(servers: LocalStack) -> None:
    where = servers.environment()["KAFKA_BOOTSTRAP_SERVERS"]
    admin = AIOKafkaAdminClient(bootstrap_servers=where)
    await admin.start()
    await admin.describe_topics(["undeclared"])
    assert "undeclared" not in await admin.list_topics()
    await admin.close()
