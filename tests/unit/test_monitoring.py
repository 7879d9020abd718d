"""The dashboard and the alerts ask for what there is, and say what to do about it."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from app.telemetry.exposition import Exposition
from app.telemetry.metrics import CATALOGUE, Role
from app.telemetry.stages import STAGES

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy/grafana/kadr.json"
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
SCRAPING = ROOT / "deploy/prometheus/prometheus.yml"
ALERTS_TESTED = ROOT / "tests/data/alerts_test.yml"

ROWS = ["Overview", "Pipeline", "Latency", "Errors", "Resources"]

PARTS = {"counter": ("",), "gauge": ("",), "info": ("",), "histogram": ("_bucket", "_sum", "_count")}

OF_ALL_PROCESSES = {
    *("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"),
    "process_start_time_seconds",
}
"""What prometheus-client tells of a process."""

OF_PROMETHEUS = {"job", "instance", "le"}
"""Labels that Prometheus adds, and that of a histogram's parts."""

KNOWN = {f"{entry.name}{part}": set(entry.labels) for entry in CATALOGUE for part in PARTS[entry.kind]}

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: the package prometheus)"
)


@cache
def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return found


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def asked() -> Iterator[tuple[str, str]]:
    """Yield where each question stands, and the question."""
    for panel in panels():
        for target in panel["targets"]:
            yield f"panel {panel['title']}", target["expr"]
    for rule in rules():
        yield rule["alert"], rule["expr"]


EXPRESSIONS = list(asked())

each_question = pytest.mark.parametrize("question", [expr for _, expr in EXPRESSIONS])


def concrete(question: str) -> str:
    """Return a question of the dashboard as Grafana would ask it."""
    return question.replace("$__rate_interval", "5m").replace("$job", ".+")


SPANS = {"60 *": "suffix:/min", "3600 *": "suffix:/h"}
"""What a rate is multiplied with, and what its axis says then; Prometheus's own rates are per second."""


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_the_axis_of_a_panel_says_per_which_time_it_counts(panel: dict[str, Any]) -> None:
    unit = panel["fieldConfig"]["defaults"]["unit"]
    for target in panel["targets"]:
        factor = re.match(r"\d+ \*", target["expr"])
        assert unit == SPANS[factor[0]] if factor else unit not in SPANS.values()


def test_a_colour_is_of_a_line_that_there_is() -> None:
    shown = "".join(Exposition(role).render().decode() for role in get_args(Role))
    coloured = [
        (panel, override["matcher"]["options"])
        for panel in panels()
        for override in panel["fieldConfig"]["overrides"]
    ]
    assert coloured
    for panel, name in coloured:
        lines = {target.get("legendFormat") or "" for target in panel["targets"]}
        labels = {label for line in lines for label in re.findall(r"{{(\w+)}}", line)}
        assert name in lines or any(f'{label}="{name}"' in shown for label in labels), panel["title"]


@each_question
def test_every_metric_that_is_asked_for_exists(question: str) -> None:
    named = set(re.findall(r"\b(?:kadr|process)_[a-z_]+", question))
    assert named - KNOWN.keys() - OF_ALL_PROCESSES == set()
    assert named or "up{" in question


@each_question
def test_every_label_that_is_asked_for_exists(question: str) -> None:
    for name, inner in re.findall(r"(\bkadr_[a-z_]+)\{([^}]*)\}", question):
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", inner))
        assert labels <= KNOWN[name] | OF_PROMETHEUS, name
    for inner in re.findall(r"\bby \(([^)]*)\)", question):
        known = set().union(*KNOWN.values())
        assert {each.strip() for each in inner.split(",")} <= known | OF_PROMETHEUS
    for stages in re.findall(r'stage(?:=~|!~|=)"([^"]*)"', question):
        assert set(stages.split("|")) <= STAGES.keys()


def test_every_metric_is_looked_at_by_somebody() -> None:
    looked_at = " ".join(question for _, question in EXPRESSIONS)
    assert [entry.name for entry in CATALOGUE if entry.name not in looked_at] == []


def test_the_dashboard_has_its_rows_in_order_and_no_panel_lies_on_another() -> None:
    found = dashboard()
    assert [panel["title"] for panel in found["panels"] if panel["type"] == "row"] == ROWS
    ids = [panel["id"] for panel in found["panels"]]
    assert len(set(ids)) == len(ids)
    cells: set[tuple[int, int]] = set()
    for panel in found["panels"]:
        at = panel["gridPos"]
        covered = {
            (x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not covered & cells, panel["title"]
        cells |= covered


def test_whoever_opens_the_dashboard_chooses_where_its_numbers_come_from() -> None:
    variables = {each["name"]: each["type"] for each in dashboard()["templating"]["list"]}
    assert variables == {"datasource": "datasource", "job": "query"}
    for panel in panels():
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert {source["uid"] for source in sources} == {"${datasource}"}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_alert_leads_to_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert {"summary", "description", "runbook"} == rule["annotations"].keys()
    path, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^## (\w+)$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor in {heading.lower() for heading in headings}
    assert anchor == rule["alert"].lower()


def test_every_alert_of_the_page_exists() -> None:
    text = (ROOT / "docs/alerts.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (Kadr\w+)$", text, re.MULTILINE) == [rule["alert"] for rule in rules()]


def test_the_example_asks_every_role() -> None:
    (job,) = yaml.safe_load(SCRAPING.read_text(encoding="utf-8"))["scrape_configs"]
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    (group,) = job["static_configs"]
    for target in group["targets"]:
        name, _, port = target.partition(":")
        assert any(str(each).endswith(f":{port}") for each in services[name]["ports"]), target
    assert len(group["targets"]) == 5


def promtool(*arguments: str) -> str:
    program = shutil.which("promtool") or "promtool"
    run = subprocess.run([program, *arguments], capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@needs_promtool
def test_prometheus_reads_the_example_and_the_rules() -> None:
    promtool("check", "config", str(SCRAPING))
    assert f"{len(rules())} rules found" in promtool("check", "rules", str(ALERTS))


@needs_promtool
def test_alerts_fire_when_they_should_and_never_when_all_is_well() -> None:
    promtool("test", "rules", str(ALERTS_TESTED))


@needs_promtool
def test_prometheus_reads_every_question_of_the_dashboard(tmp_path: Path) -> None:
    questions = [concrete(expr) for where, expr in EXPRESSIONS if where.startswith("panel")]
    recorded = [{"record": f"panel_{number}", "expr": expr} for number, expr in enumerate(questions)]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}), encoding="utf-8")
    assert f"{len(questions)} rules found" in promtool("check", "rules", str(file))
