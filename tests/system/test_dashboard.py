"""The dashboard and the alerts, asked by a real Prometheus of a Kadr at work."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.local.processes import ROLES
from app.topics import OUTBOX_EVENTS
from models.shapes import write_clip
from tests.support.pipeline import Pipeline
from tests.support.prometheus import PROGRAM, Prometheus, running_prometheus

pytestmark = [
    pytest.mark.servers,
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        PROGRAM is None, reason="prometheus is not installed (Debian: the package of this name)"
    ),
]

DASHBOARD = Path(__file__).parents[2] / "deploy/grafana/kadr.json"


COUNTED = ("videos_ended", "messages_rejected", "splits_ended")
"""What a good video, a bad one and a message that is none make grow."""


def asked() -> list[tuple[str, str]]:
    """Return each panel with each of its questions, as Grafana would ask it."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [
        (panel["title"], target["expr"].replace("$__rate_interval", "1m").replace("$job", "kadr"))
        for panel in panels
        for target in panel.get("targets", [])
    ]


@pytest.fixture(scope="module")
def watched(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has seen a good video, a bad one and a message that is none."""
    folder = tmp_path_factory.mktemp("prometheus")
    ports = pipeline.stack.ports
    targets = [f"127.0.0.1:{getattr(ports, role)}" for role in ("api", *ROLES)]
    with running_prometheus(folder, targets) as prometheus:
        pipeline.wait_until(prometheus.is_ready, otherwise=(folder / "log").read_text)
        pipeline.wait_until(lambda: len(prometheus.ask('up{job="kadr"} == 1')) == len(targets))
        write_clip(folder / "clip.mp4", seed=43, frames=103, fps=25, size=(512, 288))
        (folder / "notes.mp4").write_bytes(b"this is no video\n" * 100)
        good, bad = pipeline.submit(folder / "clip.mp4"), pipeline.submit(folder / "notes.mp4")
        pipeline.publish(OUTBOX_EVENTS.name, b"no-id", b"no message")
        assert pipeline.wait_for(good)["status"] == "ready"
        assert pipeline.wait_for(bad)["status"] == "failed"
        grown = [f"increase(kadr_{name}_total[1m]) > 0" for name in COUNTED]
        pipeline.wait_until(lambda: all(prometheus.ask(each) for each in grown))
        yield prometheus


def test_the_dashboard_finds_its_job(watched: Prometheus) -> None:
    assert watched.values("job", "kadr_build_info") == ["kadr"]


@pytest.mark.parametrize(("title", "question"), asked())
def test_every_question_of_the_dashboard_is_answered(watched: Prometheus, title: str, question: str) -> None:
    assert watched.ask(question), f"the panel {title} is empty"


def test_the_alerts_can_be_computed_and_only_that_of_the_bad_message_is_raised(
    watched: Prometheus, pipeline: Pipeline
) -> None:
    def firing() -> list[str]:
        return [rule.name for rule in watched.rules() if rule.state == "firing"]

    pipeline.wait_until(lambda: "KadrMessagesRejected" in firing(), otherwise=lambda: str(watched.rules()))
    assert firing() == ["KadrMessagesRejected"]
    assert {rule.health for rule in watched.rules()} == {"ok"}
