"""The programs of the local stack: their commands, their settings, and what is used instead of them."""

import hashlib
import json
import stat
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.local.credentials import Credentials, load_credentials
from app.local.failures import CredentialsMissing, JarDamaged, NameUnknown
from app.local.kafka import create_kafka, fetch_jars, load_lock
from app.local.ports import Ports
from app.local.s3 import create_s3
from app.local.stack import LocalStack

PORTS = Ports()


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    return load_credentials(tmp_path / "credentials.json")


def test_every_jar_is_locked_by_a_sha256() -> None:
    lock = load_lock()
    assert "org.apache.kafka:kafka_2.13:4.3.1" in lock
    assert all(len(digest) == 64 and coordinate.count(":") == 2 for coordinate, digest in lock.items())


def test_a_jar_that_is_not_the_locked_one_is_removed(tmp_path: Path) -> None:
    jar = tmp_path / "g_a_1.jar"
    jar.write_bytes(b"tampered")
    with pytest.raises(JarDamaged, match="g:a:1 is removed"):
        fetch_jars(tmp_path, {"g:a:1": hashlib.sha256(b"good").hexdigest()})
    assert not jar.exists()


def test_a_jar_that_is_the_locked_one_is_used_without_a_download(tmp_path: Path) -> None:
    jar = tmp_path / "g_a_1.jar"
    jar.write_bytes(b"good")
    assert fetch_jars(tmp_path, {"g:a:1": hashlib.sha256(b"good").hexdigest()}) == [jar]


def read_properties(folder: Path) -> dict[str, str]:
    lines = (folder / "server.properties").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def test_kafka_listens_on_this_machine_only(tmp_path: Path) -> None:
    create_kafka(folder=tmp_path, jars=[], ports=PORTS)
    listeners = read_properties(tmp_path)["listeners"].split(",")
    assert len(listeners) == 2
    assert {urlsplit(listener).hostname for listener in listeners} == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("auto.create.topics.enable", "false"),
        ("log.retention.ms", "-1"),
        ("log.retention.check.interval.ms", "10000"),
        ("offsets.retention.minutes", "525600"),
        ("broker.session.timeout.ms", "4000"),
    ],
)
def test_kafka_keeps_what_was_not_read(tmp_path: Path, name: str, value: str) -> None:
    create_kafka(folder=tmp_path, jars=[], ports=PORTS)
    assert read_properties(tmp_path)[name] == value


def test_kafka_keeps_its_identity_over_restarts(tmp_path: Path) -> None:
    meta = tmp_path / "data" / "meta.properties"
    create_kafka(folder=tmp_path, jars=[], ports=PORTS)
    before = meta.read_text(encoding="ascii")
    create_kafka(folder=tmp_path, jars=[], ports=PORTS)
    assert meta.read_text(encoding="ascii") == before


def test_s3_is_not_started_open_to_everyone(tmp_path: Path, credentials: Credentials) -> None:
    open_to_all = Credentials(**{**vars(credentials), "s3_secret_key": ""})
    with pytest.raises(CredentialsMissing):
        create_s3(folder=tmp_path, sockets=tmp_path, ports=PORTS, credentials=open_to_all)


def test_no_secret_of_s3_is_in_its_command(tmp_path: Path, credentials: Credentials) -> None:
    program = create_s3(folder=tmp_path, sockets=tmp_path, ports=PORTS, credentials=credentials)
    command = " ".join(program.command)
    assert program.environment["AWS_SECRET_ACCESS_KEY"] == credentials.s3_secret_key
    assert credentials.s3_secret_key not in command
    assert credentials.s3_signing_key not in command
    assert "-disableHttp=true" in program.command


def test_a_server_of_the_operator_is_used_and_none_is_started_for_it(tmp_path: Path) -> None:
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": "kafka.example:9092",
        "MONGO_URI": "mongodb://mongo.example/",
        "MINIO_ENDPOINT": "s3.example",
    }
    stack = LocalStack.from_environment(given, data_dir=tmp_path, processes=())
    found = stack.environment()
    assert stack.local_servers == ()
    assert found["MONGO_URI"] == found["RUNNER_MONGO_URI"] == "mongodb://mongo.example/"
    # What is not ours to decide stays as the operator gave it.
    assert found.keys().isdisjoint({"KAFKA_BOOTSTRAP_SERVERS", "MINIO_ENDPOINT", "MINIO_SECRET_KEY"})


def test_a_stack_without_settings_runs_all_three_servers(tmp_path: Path) -> None:
    stack = LocalStack.from_environment({}, data_dir=tmp_path, processes=())
    assert stack.names == ("kafka", "mongo", "s3")
    assert stack.environment()["KAFKA_BOOTSTRAP_SERVERS"] == f"127.0.0.1:{PORTS.kafka}"
    assert json.loads(stack.folder.credentials.read_text(encoding="utf-8"))["mongo_user"] == "kadr"


def test_the_five_processes_are_started_by_their_plain_commands(tmp_path: Path) -> None:
    stack = LocalStack.from_environment({}, data_dir=tmp_path)
    commands = {program.name: program.command for program in stack.processes}
    assert list(commands) == ["api", "outbox", "runner", "inference", "results"]
    assert commands["api"][1:] == (
        "api.main:api",
        "--http",
        "api.protocol:BoundedProtocol",
        "--host",
        "127.0.0.1",
        "--port",
        "8080",
    )
    datadir = tmp_path / "faust" / "results"
    assert datadir.is_dir()
    assert commands["results"][1:] == (
        *("--datadir", str(datadir), "-A", "app.roles.results"),
        *("worker", "-l", "info", "--web-port", "8004"),
    )


def test_the_data_folder_is_its_owners_alone_whoever_makes_it_first(tmp_path: Path) -> None:
    stack = LocalStack.from_environment({}, data_dir=tmp_path / "data")  # makes the workers' folders
    stack.folder.create()
    made = [stack.folder.root, stack.folder.run, stack.folder.root / "log"]
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in made} == dict.fromkeys(
        ("data", "run", "log"), 0o700
    )


def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    stack = LocalStack.from_environment({}, data_dir=tmp_path, processes=())
    with pytest.raises(NameUnknown, match="no program is called redis"):
        stack.start(only=["redis"])
