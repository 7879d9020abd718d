"""The manifests in deploy/kubernetes are valid, and say what docker-compose.yml and the code say."""

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from app.clients.runner_records import COLLECTION, DATABASE
from app.settings import Settings
from app.topics import INFERENCE_TASKS, OUTBOX_EVENTS
from tests.support.compose import ROOT, load_services

FOLDER = ROOT / "deploy" / "kubernetes"
BASE, GPU = FOLDER / "base", FOLDER / "overlays" / "gpu"

Manifest = dict[str, Any]

SUPPORTED = ("1.31", "1.37")
"""Versions of Kubernetes whose schemas are asked."""

COMPOSE = {
    "api": "api_checkout",
    "outbox": "outbox_worker",
    "runner": "runner",
    "inference": "inference",
    "results": "outbox_s3_worker",
}
"""Each role, and Compose's name of it."""

KUSTOMIZATION = "kustomization.yaml"

LONGEST_STOP = 60
"""Seconds that an orderly stop may take: what is in hand, and a rebalance that everybody joins."""

SERVICES = load_services()
NAMES = {name.upper() for name in Settings.model_fields}

each_role = pytest.mark.parametrize("role", COMPOSE)


@cache
def read(path: Path) -> tuple[Manifest, ...]:
    return tuple(each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if each)


def files() -> list[Path]:
    return sorted(path for path in FOLDER.rglob("*.yaml") if path.name != KUSTOMIZATION)


def of_kind(*kinds: str, folder: Path = BASE) -> list[Manifest]:
    return [each for path in sorted(folder.glob("*.yaml")) for each in read(path) if each["kind"] in kinds]


def named(role: str, *kinds: str) -> Manifest:
    (found,) = [each for each in of_kind(*kinds) if each["metadata"]["name"] == role]
    return found


def pod(role: str) -> Manifest:
    found: Manifest = named(role, "Deployment", "StatefulSet")["spec"]["template"]["spec"]
    return found


def container(role: str) -> Manifest:
    (found,) = pod(role)["containers"]
    return dict(found)


def megabytes(quantity: str) -> int:
    factors = {"k": 1 / 1024, "m": 1, "g": 1024, "Mi": 1, "Gi": 1024}
    unit = next(unit for unit in sorted(factors, key=len, reverse=True) if quantity.endswith(unit))
    return int(int(quantity.removesuffix(unit)) * factors[unit])


def merged(whole: Any, patch: Any) -> Any:  # noqa: ANN401 - whatever YAML holds
    """What kustomize makes of a patch, as far as ours go: things with the same name are the same thing."""
    if isinstance(patch, dict) and isinstance(whole, dict):
        return whole | {key: merged(whole.get(key), value) for key, value in patch.items()}
    if isinstance(whole, list) and all("name" in each for each in (*whole, *patch)):
        patches = {each["name"]: each for each in patch}
        return [merged(each, patches.get(each["name"], {})) for each in whole]
    return patch


@pytest.mark.parametrize("version", SUPPORTED)
@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(FOLDER)))
def test_every_manifest_is_what_kubernetes_takes(path: Path, version: str) -> None:
    for each in read(path):
        whole = merged(named(each["metadata"]["name"], each["kind"]), each) if GPU in path.parents else each
        if not whole["apiVersion"].startswith("keda.sh/"):
            kubernetes_validate.validate(whole, version, strict=True)


def test_the_check_finds_a_field_that_there_is_not() -> None:
    wrong = copy.deepcopy(named("api", "Deployment"))
    wrong["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readynessProbe"):
        kubernetes_validate.validate(wrong, SUPPORTED[-1], strict=True)


def test_every_scaled_object_is_what_keda_takes() -> None:
    schema = json.loads((ROOT / "tests/data/kubernetes/scaledobject.schema.json").read_text(encoding="utf-8"))
    for each in of_kind("ScaledObject"):
        jsonschema.validate(each, schema)


@pytest.mark.parametrize("folder", [BASE, GPU], ids=["base", "gpu"])
def test_each_kustomization_names_every_file_beside_it(folder: Path) -> None:
    (found,) = read(folder / KUSTOMIZATION)
    named_ones = {*found["resources"], *(each["path"] for each in found.get("patches", []))}
    assert all((folder / each).exists() for each in named_ones)
    beside = {path.name for path in folder.glob("*.yaml")} - {KUSTOMIZATION}
    assert {each for each in named_ones if each.endswith(".yaml")} == beside


def test_a_patch_names_what_it_patches_and_gives_it_a_gpu() -> None:
    for patch in of_kind("Deployment", folder=GPU):
        patched = named(patch["metadata"]["name"], "Deployment")
        ours = {each["name"] for each in patched["spec"]["template"]["spec"]["containers"]}
        theirs = {each["name"] for each in patch["spec"]["template"]["spec"]["containers"]}
        assert theirs <= ours
        (found,) = merged(patched, patch)["spec"]["template"]["spec"]["containers"]
        assert found["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert found["command"] == container("inference")["command"]


@each_role
def test_each_role_is_started_from_the_image_and_with_the_command_of_compose(role: str) -> None:
    service, found = SERVICES[COMPOSE[role]], container(role)
    assert found["command"] == service["command"]
    assert found["image"] == service["image"]
    assert megabytes(found["resources"]["limits"]["memory"]) == megabytes(service["mem_limit"])


@each_role
def test_each_role_is_asked_where_it_answers(role: str) -> None:
    found = container(role)
    ((port,)) = [each["containerPort"] for each in found["ports"]]
    assert str(port) == found["command"][-1]
    asked = {name: found[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    # That each role serves these two is looked at in test_compose.py and tests/api/test_health.py.
    assert asked == {
        "startup": {"path": "/health/live", "port": port},
        "liveness": {"path": "/health/live", "port": port},
        "readiness": {"path": "/health/ready", "port": port},
    }
    for service in of_kind("Service"):
        if service["metadata"]["name"] == role:
            assert service["spec"]["ports"] == [{"name": "http", "port": port, "targetPort": port}]


@each_role
def test_each_role_may_do_little_and_has_time_to_stop(role: str) -> None:
    spec, found = pod(role), container(role)
    assert spec["terminationGracePeriodSeconds"] > LONGEST_STOP
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert f"--uid {spec['securityContext']['runAsUser']} " in (ROOT / "Dockerfile").read_text()
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert found["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounted = {each["mountPath"]: each["name"] for each in found["volumeMounts"]}
    claims = named(role, "Deployment", "StatefulSet")["spec"].get("volumeClaimTemplates", [])
    there = {each["name"] for each in spec["volumes"]} | {each["metadata"]["name"] for each in claims}
    assert {"/data", "/tmp"} <= set(mounted)  # noqa: S108 - in the container
    assert set(mounted.values()) == there


@each_role
def test_what_selects_a_role_finds_it(role: str) -> None:
    workload = named(role, "Deployment", "StatefulSet")
    labels = workload["spec"]["template"]["metadata"]["labels"]
    assert workload["spec"]["selector"]["matchLabels"] == labels
    for each in of_kind("Service", "PodDisruptionBudget"):
        if each["metadata"]["name"] == role:
            assert each["spec"]["selector"].get("matchLabels", each["spec"]["selector"]) == labels


def test_every_variable_is_a_setting_and_the_values_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    (settings,), (secrets,) = of_kind("ConfigMap"), of_kind("Secret", folder=FOLDER)
    assert set(settings["data"]) <= NAMES
    assert set(secrets["stringData"]) <= NAMES
    for role in COMPOSE:
        assert {each["name"] for each in container(role).get("env", [])} <= NAMES
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in (settings["data"] | secrets["stringData"]).items():
        monkeypatch.setenv(name, value)
    found = Settings()
    assert found.default_secrets == ()
    assert (found.api_keys, found.min_free_bytes) == ("required", 0)
    for service, url in (("outbox", found.outbox_url), ("runner", found.runner_url)):
        port = named(service, "Service")["spec"]["ports"][0]["port"]
        assert url == f"http://{service}:{port}"


def test_who_decodes_strangers_pictures_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {role: [next(iter(each)) for each in container(role)["envFrom"]] for role in COMPOSE}
    assert given.pop("inference") == ["configMapRef"]
    assert all(each == ["configMapRef", "secretRef"] for each in given.values())
    for each in container("inference")["env"]:
        monkeypatch.setenv(each["name"], each["value"])
    assert Settings().default_secrets == (), "it would warn of them at each start"


def test_each_role_is_scaled_by_what_it_waits_for_and_no_further_than_it_can_share_work() -> None:
    (data,) = [each["data"] for each in of_kind("ConfigMap")]
    scaled = {each["spec"]["scaleTargetRef"]["name"]: each["spec"] for each in of_kind("ScaledObject")}
    assert set(scaled) == {"inference", "runner"}
    kafka = {
        role: next(each["metadata"] for each in spec["triggers"] if each["type"] == "kafka")
        for role, spec in scaled.items()
    }
    assert (kafka["inference"]["topic"], kafka["runner"]["topic"]) == (
        INFERENCE_TASKS.name,
        OUTBOX_EVENTS.name,
    )
    for role, metadata in kafka.items():
        assert metadata["consumerGroup"] == role, "a role is its consumer group"
        assert metadata["bootstrapServersFromEnv"] in data
        assert "replicas" not in named(role, "Deployment")["spec"], "KEDA says how many"
    assert scaled["inference"]["maxReplicaCount"] <= int(data["TASK_PARTITIONS"])
    assert int(kafka["inference"]["lagThreshold"]) <= Settings().tasks_waiting / 2, "the lag is bounded"
    (mongo,) = [each["metadata"] for each in scaled["runner"]["triggers"] if each["type"] == "mongodb"]
    assert (mongo["dbName"], mongo["collection"]) == (DATABASE, COLLECTION)
    assert json.loads(mongo["query"]) == {"status": "processing", "split_ended": False}


def test_only_the_api_reaches_the_workers_and_everybody_the_api() -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in of_kind("NetworkPolicy")}
    assert policies["nobody"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    opened = {
        port["port"]
        for each in policies.values()
        for rule in each.get("ingress", [])
        for port in rule["ports"]
    }
    assert opened == {8080, 8001, 8002}
    (rule,) = policies["api-to-workers"]["ingress"]
    assert rule["from"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "api"
