"""docker-compose.yml and .env.example say what the code says."""

import http.server
import json
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from pydantic import SecretStr

from app.local.credentials import Credentials
from app.local.folder import DataFolder
from app.local.kafka import _API_VERSIONS_REQUEST, _PROPERTIES
from app.local.ports import Ports, setting_of
from app.local.processes import create_processes
from app.local.s3 import _environment, _flags
from app.settings import Settings
from tests.support.compose import (
    ROOT,
    Service,
    load_example,
    load_file,
    load_services,
    variables,
)

OURS = {
    "api_checkout": "api",
    "outbox_worker": "outbox",
    "runner": "runner",
    "inference": "inference",
    "outbox_s3_worker": "results",
}
"""Compose's name of each process, and the local stack's."""

SERVERS = {"kafka": "kafka", "mongo": "mongo", "minio": "s3"}
"""The same of each server."""

NOT_OF_COMPOSE = {"API_URL"}
"""Settings of the command line, which runs outside."""

NOT_OF_ENV = {"DATA_DIR", "WEB_BIND"}
"""Settings that a container has by its make."""

OF_COMPOSE = {"API_PUBLISHED": "127.0.0.1", "S3_PUBLIC_ENDPOINT": "127.0.0.1:9000"}
"""Settings with another default here: inside a container nobody knows where a port is published."""

SERVICES = load_services()
DEFAULTS = {name.upper(): field.default for name, field in Settings.model_fields.items()}

everywhere = pytest.mark.parametrize("name", sorted(SERVICES))
in_each_process = pytest.mark.parametrize("name", sorted(OURS))


def setting_names() -> set[str]:
    return {name.upper() for name in Settings.model_fields}


def settings_of(name: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What the process in this service would read."""
    for variable in setting_names():
        monkeypatch.delenv(variable, raising=False)
    for variable, value in SERVICES[name]["environment"].items():
        monkeypatch.setenv(variable, str(value))
    return Settings()


def default_settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    for variable in setting_names():
        monkeypatch.delenv(variable, raising=False)
    return Settings()


def plain(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def published(service: Service) -> tuple[str, int, int]:
    """Address and port on the host, and port in the container."""
    (port,) = service["ports"]
    address, outside, inside = port.split(":")
    return address, int(outside), int(inside)


def test_the_services_are_the_eight_that_the_documentation_names() -> None:
    assert set(SERVICES) == {*OURS, *SERVERS}


@everywhere
def test_every_service_restarts_is_watched_and_may_do_little(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert int(service["stop_grace_period"].removesuffix("s")) >= 30


def test_only_the_model_gives_way() -> None:
    assert [name for name, service in SERVICES.items() if "cpu_shares" in service] == ["inference"]
    assert SERVICES["inference"]["cpu_shares"] < 1024 / 2, "half of what each of the others has"


@everywhere
def test_every_port_is_the_documented_one_and_open_to_this_machine_only(name: str) -> None:
    ours = {**OURS, **SERVERS}[name]
    address, outside, inside = published(SERVICES[name])
    assert (address, outside) == ("127.0.0.1", getattr(Ports(), ours))
    assert inside == (9094 if name == "kafka" else outside)
    moved = load_services({setting_of(ours): "12345"})[name]
    assert published(moved)[1] == 12345


def test_no_port_of_any_service_is_published_beyond_this_machine_and_none_is_the_hosts() -> None:
    entries = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(entries) >= len(SERVICES)
    # The short form only: `127.0.0.1:outside:inside`. Nothing but the API's is a setting.
    assert [port for port in entries if not str(port).startswith("127.0.0.1:")] == []
    assert not [
        service for service in SERVICES.values() if {"network_mode", "privileged", "pid"} & set(service)
    ]


def test_an_api_that_is_published_elsewhere_knows_it() -> None:
    moved = load_services({"API_PUBLISHED": "0.0.0.0"})["api_checkout"]  # noqa: S104 - what is tested
    assert published(moved)[0] == moved["environment"]["API_PUBLISHED"] == "0.0.0.0"  # noqa: S104 - as above
    assert SERVICES["api_checkout"]["environment"]["API_PUBLISHED"] == published(SERVICES["api_checkout"])[0]
    assert SERVICES["api_checkout"]["environment"]["S3_PUBLIC_ENDPOINT"].split(":") == [
        published(SERVICES["minio"])[0],
        str(published(SERVICES["minio"])[1]),
    ]


@everywhere
def test_whoever_waits_waits_for_health(name: str) -> None:
    wanted = SERVICES[name].get("depends_on", {})
    assert set(wanted) <= set(SERVERS)
    assert all(how == {"condition": "service_healthy"} for how in wanted.values())


def test_each_process_waits_for_the_servers_that_it_uses() -> None:
    waits = {name: set(SERVICES[name]["depends_on"]) for name in OURS}
    assert waits == {
        "api_checkout": {"mongo", "minio"},
        "outbox_worker": {"kafka", "mongo"},
        "runner": {"kafka", "mongo", "minio"},
        "inference": {"kafka"},
        "outbox_s3_worker": {"kafka", "mongo", "minio"},
    }


@everywhere
def test_what_a_service_keeps_lies_in_volumes_of_its_own(name: str) -> None:
    volumes = [entry.split(":")[0] for entry in SERVICES[name]["volumes"] if not entry.startswith(".")]
    declared = set(load_file()["volumes"])
    others = [each for other in SERVICES if other != name for each in SERVICES[other]["volumes"]]
    assert volumes
    assert set(volumes) <= declared
    assert not set(volumes) & {entry.split(":")[0] for entry in others}


def test_every_volume_is_used() -> None:
    used = {entry.split(":")[0] for service in SERVICES.values() for entry in service["volumes"]}
    assert set(load_file()["volumes"]) <= used


@in_each_process
def test_each_process_is_started_as_in_the_local_stack(name: str, tmp_path: Path) -> None:
    program = next(
        each for each in create_processes(DataFolder(tmp_path), Ports()) if each.name == OURS[name]
    )
    local = [Path(program.command[0]).name, *program.command[1:]]
    if "--datadir" in local:  # in a container DATA_DIR says enough
        del local[1:3]
    inside = SERVICES[name]["command"]
    assert [word.replace("0.0.0.0", "127.0.0.1") for word in inside] == local  # noqa: S104 - inside a container


SHOW_PATHS = """
import importlib, json, sys
module, name = sys.argv[1:]
found = getattr(importlib.import_module(module), name)
print(json.dumps(sorted(found.openapi()["paths"] if hasattr(found, "openapi") else found.web.views)))
"""


@in_each_process
def test_each_command_names_an_object_that_serves_what_the_health_check_asks_for(
    name: str, tmp_path: Path
) -> None:
    words = SERVICES[name]["command"]
    target = words[1].split(":") if words[0] == "uvicorn" else [words[2], "app"]
    # In a process of its own, because an import makes a Faust app and its folders.
    shown = subprocess.run(
        [sys.executable, "-c", SHOW_PATHS, *target],
        env={"DATA_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    port, path = asked_by(SERVICES[name])
    assert port == published(SERVICES[name])[2]
    assert path == "/health/ready"
    assert path in json.loads(shown.stdout.splitlines()[-1])


def asked_by(service: Service) -> tuple[int, str]:
    """Port and path that a health check of ours asks."""
    found = re.search(r"'127.0.0.1', (\d+), .*'GET', '([^']+)'", service["healthcheck"]["test"][3])
    assert found is not None
    return int(found[1]), found[2]


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_a_process_is_healthy_when_it_is_ready(status: int, code: int) -> None:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        words = SERVICES["runner"]["healthcheck"]["test"][1:]
        words[2] = words[2].replace("8002", str(server.server_port))
        ended = subprocess.run([sys.executable, *words[1:]], check=False, timeout=30)
        server.shutdown()
        thread.join()
    assert ended.returncode == code


@pytest.mark.parametrize(("answer", "is_healthy"), [(b"\0\0\0\1hi, more", True), (b"", False)])
def test_kafka_is_healthy_when_it_answers_what_the_local_probe_asks(
    answer: bytes, *, is_healthy: bool
) -> None:
    asked: list[bytes] = []
    with one_answer(asked, answer) as port:
        script = SERVICES["kafka"]["healthcheck"]["test"][3].replace("9092", str(port))
        ended = subprocess.run(["/bin/bash", "-c", script], check=False, timeout=30)
    assert asked == [_API_VERSIONS_REQUEST]
    assert (ended.returncode == 0) is is_healthy


@contextmanager
def one_answer(asked: list[bytes], answer: bytes) -> Iterator[int]:
    """Answer one caller and hang up."""

    def serve() -> None:
        caller, _ = server.accept()
        with caller:
            asked.append(caller.recv(100))
            caller.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


@in_each_process
def test_every_setting_reaches_every_process_and_no_other_variable_does(name: str) -> None:
    assert set(SERVICES[name]["environment"]) == setting_names() - NOT_OF_COMPOSE


@in_each_process
def test_without_an_env_file_a_process_has_the_default_settings(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, default = settings_of(name, monkeypatch), default_settings(monkeypatch)
    assert str(found.data_dir) == "/data"
    assert found.web_bind == "0.0.0.0"  # noqa: S104 - inside a container
    assert {each: getattr(found, each.lower()) for each in OF_COMPOSE} == OF_COMPOSE
    for field in set(Settings.model_fields) - {"data_dir", "web_bind", *map(str.lower, OF_COMPOSE)}:
        assert plain(getattr(found, field)) == plain(getattr(default, field)), field
    assert found.default_secrets == ("MINIO_SECRET_KEY", "MONGO_URI", "RUNNER_MONGO_URI")


def test_no_setting_that_faust_reads_too_is_empty() -> None:
    import faust.types.settings.settings  # noqa: PLC0415 - heavy

    # Faust takes an empty number for a number and stops; Settings takes it for the default.
    source = Path(faust.types.settings.settings.__file__).read_text(encoding="utf-8")
    theirs = set(re.findall(r'env_name="(\w+)"', source))
    assert "TOPIC_REPLICATION_FACTOR" in theirs
    empty = {name for name, value in SERVICES["runner"]["environment"].items() if value == ""}
    assert not theirs & empty


def test_each_variable_has_one_default_which_the_example_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    example, ours = load_example(), variables()
    assert set(example) == set(ours)
    assert all(len(defaults) == 1 for defaults in ours.values())
    assert {name: default for name, (default,) in ours.items() if default}.items() <= example.items()
    default = default_settings(monkeypatch)
    for name in set(example) & setting_names():
        monkeypatch.setenv(name, example[name])
    shown = Settings()
    for field in set(Settings.model_fields) - set(map(str.lower, OF_COMPOSE)):
        assert plain(getattr(shown, field)) == plain(getattr(default, field)), field


def test_an_env_file_may_set_every_setting_but_those_of_a_container() -> None:
    assert setting_names() - set(variables()) == NOT_OF_ENV | NOT_OF_COMPOSE


def test_what_is_set_reaches_the_server_and_its_clients() -> None:
    given = {"MINIO_ACCESS_KEY": "me", "MINIO_SECRET_KEY": "mine", "KAFKA_PORT": "12345"}
    services = load_services(given)
    client, server = services["runner"]["environment"], services["minio"]["environment"]
    assert [client["MINIO_ACCESS_KEY"], client["MINIO_SECRET_KEY"]] == ["me", "mine"]
    assert [server["AWS_ACCESS_KEY_ID"], server["AWS_SECRET_ACCESS_KEY"]] == ["me", "mine"]
    assert "HOST://127.0.0.1:12345" in services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]


def test_kafka_is_set_up_as_in_the_local_stack() -> None:
    local = dict(re.findall(r"^([a-z.]+)=(.*)$", _PROPERTIES, flags=re.MULTILINE))
    where = {"controller.quorum.voters", "listeners", "advertised.listeners", "log.dirs"}
    names = {"listener.security.protocol.map", "inter.broker.listener.name"}
    environment = dict(SERVICES["kafka"]["environment"])
    heap = environment.pop("KAFKA_HEAP_OPTS")
    # apache/kafka: KAFKA_A_B is a.b; no property of ours has a dash or an underscore in its name.
    ours = {key.removeprefix("KAFKA_").lower().replace("_", "."): value for key, value in environment.items()}
    assert set(ours) - set(local) == {"inter.broker.listener.name"}
    assert {k: v for k, v in ours.items() if k not in where | names} == {
        k: v for k, v in local.items() if k not in where | names
    }
    assert ours["advertised.listeners"].split(",")[0] == f"PLAINTEXT://{DEFAULTS['KAFKA_BOOTSTRAP_SERVERS']}"
    assert ours["log.dirs"] == SERVICES["kafka"]["volumes"][0].split(":")[1]
    assert "-Xmx512m" in heap


def test_the_s3_server_runs_as_in_the_local_stack() -> None:
    keys = Credentials("", "", "minioadmin", "minioadmin", "minioadmin")
    service = SERVICES["minio"]
    program, *flags = service["command"][2:]
    assert program == "server"
    # Alone of all its doors, S3 is open to the other containers.
    local = set(_flags(Path("/data"), Path("/tmp"), Ports().s3))  # noqa: S108 - in the container, a tmpfs
    assert set(flags) - local == {"-s3.ip.bind=0.0.0.0"}
    assert local <= set(flags)
    assert service["environment"] == _environment(keys)
    assert f"minio:{published(service)[2]}" == DEFAULTS["MINIO_ENDPOINT"]


def test_mongo_knows_the_user_of_both_uris() -> None:
    server, process = SERVICES["mongo"]["environment"], SERVICES["runner"]["environment"]
    for setting in ("MONGO_URI", "RUNNER_MONGO_URI"):
        uri = urlsplit(process[setting])
        assert uri.username == server["MONGO_INITDB_ROOT_USERNAME"]
        assert uri.password == server["MONGO_INITDB_ROOT_PASSWORD"]
        assert (uri.hostname, uri.port) == ("mongo", published(SERVICES["mongo"])[2])


def test_a_gpu_is_given_to_the_one_process_that_runs_the_model() -> None:
    added = yaml.safe_load((ROOT / "deploy" / "docker-compose.gpu.yml").read_text())
    assert added.keys() == {"services"}
    (name,) = added["services"]
    assert OURS[name] == "inference"
    (device,) = added["services"][name]["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia"
    assert device["capabilities"] == ["gpu"]
    assert added["services"][name]["image"] == "kadr:inference", "the slim one has no CUDA"


def test_compose_itself_accepts_the_file() -> None:
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("docker-compose is not installed")
    ended = subprocess.run(
        [program, "--file", "docker-compose.yml", "config", "--services"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    assert set(ended.stdout.split()) == set(SERVICES)
