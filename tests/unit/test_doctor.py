"""`kadr doctor`: what is wrong is said, with what to do, and the exit code tells the worst of it."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.cli.doctor import examination, sandbox, versions
from app.cli.doctor.choices import look_at_choices
from app.cli.doctor.clocks import compare
from app.cli.doctor.disks import look_at_disks
from app.cli.doctor.examination import ASKED, Look, examine
from app.cli.doctor.findings import Finding, Verdict, exit_code_of, summary_of
from app.cli.doctor.kafka import CHANGELOGS, NO_ID, _ids, _topics, _versions
from app.cli.doctor.model import look_at_model
from app.cli.doctor.storage import _bucket
from app.cli.doctor.versions import look_at_versions
from app.cli.entry import run
from app.clients.index_facts import wanted_indexes
from app.clients.kafka.topic_facts import TopicFacts
from app.clients.kafka.versions import NEEDS, Need, Versions
from app.clients.s3.client import BucketRules
from app.clients.s3.storage import Storage
from app.errors import EXIT_MISCONFIGURED, Unavailable
from app.settings import Settings
from app.topics import required_topics
from tests.support.memory_s3 import MemoryS3
from tests.support.queries import BY_ID, read_table, written
from tests.support.small_disk import MEBIBYTE, SmallDisk, obstacle

NOW = datetime(2026, 1, 1, tzinfo=UTC)

OWN = Settings(
    mongo_uri=SecretStr("mongodb://kadr:own@mongo/"),
    runner_mongo_uri=SecretStr("mongodb://kadr:own@mongo/"),
    minio_secret_key=SecretStr("own"),
)


def verdicts(found: Sequence[Finding]) -> list[Verdict]:
    return [each.verdict for each in found]


def changed(**values: object) -> Settings:
    return OWN.model_copy(update=values)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (["ok", "unknown"], 0),
        (["ok", "warning"], 0),
        (["ok", "away", "warning"], 69),
        (["away", "wrong"], 78),
    ],
)
def test_the_exit_code_tells_the_worst(found: list[Verdict], code: int) -> None:
    findings = [Finding("a", each, "said") for each in found]
    assert exit_code_of(findings) == code
    assert exit_code_of(findings[::-1]) == code


def test_the_last_line_counts_the_worst_first() -> None:
    found = [Finding("a", each, "said") for each in ("ok", "wrong", "ok", "warning")]
    assert summary_of(found) == "1 wrong, 1 warning, 2 ok"


async def test_a_server_that_is_away_or_hangs_is_a_finding_and_the_others_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(examination, "WITHIN", 0.05)

    async def away(_: Settings) -> list[Finding]:
        raise Unavailable("Kafka", "connection refused")

    async def hangs(_: Settings) -> list[Finding]:
        await asyncio.Event().wait()
        return []

    async def fine(_: Settings) -> list[Finding]:
        return [Finding("s3", "ok", "fine")]

    looks: list[tuple[str, Look, str]] = [
        ("kafka", away, "start it"),
        ("mongo", hangs, "look"),
        ("s3", fine, ""),
    ]
    found = {each.check: each for each in await examine(OWN, asked=looks, tried=[])}
    assert (found["kafka"].verdict, found["kafka"].remedy) == ("away", "start it")
    assert "connection refused" in found["kafka"].said
    assert found["mongo"].verdict == "away"
    assert found["s3"].verdict == "ok"


def test_what_is_installed_here_is_what_kadr_was_tested_with() -> None:
    found = list(look_at_versions())
    assert verdicts(found) == ["ok"], found
    assert "Python 3." in found[0].said


def test_a_library_of_another_version_and_a_harmful_one_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"aiokafka": "0.13.0", "faust": "1.10.4"}
    monkeypatch.setattr(versions, "version_of", installed.get)
    wrong, harmful = list(look_at_versions())[1:]
    assert (wrong.verdict, harmful.verdict) == ("wrong", "warning")
    assert "aiokafka 0.13.0 is installed, Kadr needs 0.14.0" in wrong.said
    assert "faust 1.10.4" in harmful.said


def test_settings_of_ones_own_are_fine() -> None:
    assert verdicts(list(look_at_choices(OWN))) == ["ok"]


@pytest.mark.parametrize(
    ("settings", "verdict", "names"),
    [
        (Settings(), "warning", "MINIO_SECRET_KEY"),
        (changed(api_keys="off", api_published="0.0.0.0"), "wrong", "API_KEYS"),  # noqa: S104 - what is told
        (changed(web_bind="0.0.0.0"), "unknown", "WEB_BIND"),  # noqa: S104 - likewise
        (changed(stall_after=timedelta(seconds=30)), "wrong", "STALL_AFTER"),
    ],
)
def test_settings_that_do_harm_are_told(settings: Settings, verdict: Verdict, names: str) -> None:
    found = list(look_at_choices(settings))
    assert verdict in verdicts(found)
    assert any(names in each.said and each.remedy for each in found)


def kept(settings: Settings, **changes: TopicFacts) -> dict[str, TopicFacts]:
    """Topics as Kadr makes them, but for some."""
    made = {
        name: TopicFacts(partitions, 1, 1, {**config, "max.message.bytes": str(5 << 20)})
        for name, (partitions, config) in required_topics(settings).items()
    }
    config = {"cleanup.policy": "compact"}
    made |= {name: TopicFacts(settings.video_partitions, 1, 1, config) for name in CHANGELOGS}
    return made | changes


def test_topics_as_kadr_makes_them_are_fine() -> None:
    assert verdicts(list(_topics(kept(OWN), OWN))) == ["ok"]


TASKS = kept(OWN)["inference_tasks"]


@pytest.mark.parametrize(
    ("facts", "verdict", "says"),
    [
        (replace(TASKS, partitions=6), "wrong", "6 partitions, Kadr needs 24"),
        (
            replace(TASKS, config={**TASKS.config, "retention.ms": "604800000"}),
            "wrong",
            "retention.ms=604800000",
        ),
        (
            replace(TASKS, config={**TASKS.config, "cleanup.policy": "compact"}),
            "wrong",
            "cleanup.policy=compact",
        ),
        (replace(TASKS, config={**TASKS.config, "max.message.bytes": "1048588"}), "wrong", "larger pictures"),
        (replace(TASKS, copies=3, in_sync=2), "warning", "2 of 3 copies"),
        (
            replace(TASKS, in_sync=1, config={**TASKS.config, "min.insync.replicas": "2"}),
            "wrong",
            "nothing is",
        ),
    ],
)
def test_a_topic_that_is_kept_otherwise_is_told(facts: TopicFacts, verdict: Verdict, says: str) -> None:
    (found,) = _topics(kept(OWN, inference_tasks=facts), OWN)
    assert (found.verdict, "inference_tasks" in found.said) == (verdict, True)
    assert says in found.said
    assert found.remedy


def test_a_topic_with_fewer_copies_than_are_asked_for_is_told() -> None:
    found = list(_topics(kept(OWN), changed(topic_replication_factor=3)))
    assert set(verdicts(found)) == {"warning"}


def test_topics_that_are_not_there_yet_are_told() -> None:
    made = kept(OWN)
    del made["video_gaps"]
    (found,) = _topics(made, OWN)
    assert (found.verdict, "video_gaps" in found.said) == ("warning", True)


KAFKA_2_7: Versions = {
    0: (0, 8), 1: (0, 12), 2: (0, 5), 3: (0, 9), 8: (0, 8), 9: (0, 7), 10: (0, 3), 11: (0, 7), 12: (0, 4),
    13: (0, 4), 14: (0, 5), 15: (0, 5), 18: (0, 3), 19: (0, 6), 21: (0, 2), 32: (0, 3),
}  # fmt: skip
"""What Kafka 2.7.2 answered."""

KAFKA_2_8: Versions = {
    0: (0, 9), 1: (0, 12), 2: (0, 6), 3: (0, 11), 8: (0, 8), 9: (0, 7), 10: (0, 3), 11: (0, 7), 12: (0, 4),
    13: (0, 4), 14: (0, 5), 15: (0, 5), 18: (0, 3), 19: (0, 7), 21: (0, 2), 32: (0, 4),
}  # fmt: skip
"""What Kafka 2.8.2 answered, on which a video went through the whole chain."""


def test_a_broker_that_is_too_old_is_told_with_what_it_lacks() -> None:
    assert verdicts(list(_versions({1: KAFKA_2_8}))) == ["ok"]
    (found,) = _versions({1: KAFKA_2_8, 2: KAFKA_2_7})
    assert found.verdict == "wrong"
    assert (
        found.said
        == "broker 2 is too old: it knows Metadata in versions 0 to 9, Kadr needs 10, for ids of topics"
    )
    assert "2.8" in found.remedy
    (found,) = _versions({1: {key: known for key, known in KAFKA_2_8.items() if key != 21}})
    assert "broker 1 is too old: it knows DeleteRecords not at all, Kadr needs 0 to 2" in found.said


@pytest.mark.parametrize("need", NEEDS, ids=lambda each: f"{each.name} {each.oldest}")
def test_a_broker_that_has_dropped_what_kadr_speaks_is_told(need: Need) -> None:
    newer = {need.key: (need.newest + 1, need.newest + 9)}
    found = [each for each in _versions({1: {**KAFKA_2_8, **newer}}) if f"{need.newest}" in each.said]
    assert "wrong" in verdicts(found)
    assert all("too new" in each.said and "earlier Kafka" in each.remedy for each in found)


def test_a_topic_without_an_id_is_told() -> None:
    assert list(_ids({"rejected": "f08c28bc-2d07-4e49-8f62-5f60397ab177"})) == []
    (found,) = _ids({"rejected": NO_ID, "video_gaps": "f08c28bc-2d07-4e49-8f62-5f60397ab177"})
    assert (found.verdict, "rejected: no id" in found.said) == ("wrong", True)


@pytest.mark.parametrize(
    ("off", "verdict"),
    [(0, "ok"), (4, "ok"), (-4, "ok"), (6, "warning"), (-7, "warning"), (901, "wrong"), (-902, "wrong")],
)
def test_a_clock_is_judged_by_how_far_it_is_off(off: float, verdict: Verdict) -> None:
    found = compare(
        "S3", NOW + timedelta(seconds=off), asked=NOW, answered=NOW, precision=timedelta(seconds=1)
    )
    assert found.verdict == verdict


def test_an_answer_that_takes_long_says_nothing_against_a_clock() -> None:
    answered = NOW + timedelta(seconds=20)
    assert compare("S3", NOW + timedelta(seconds=10), asked=NOW, answered=answered).verdict == "ok"


class RuledS3(MemoryS3):
    """A server with rules for its buckets."""

    kept = BucketRules((), is_versioned=False)

    async def rules(self, _bucket: str) -> BucketRules:
        return self.kept


async def test_a_bucket_can_be_written_to_and_nothing_of_that_stays() -> None:
    s3 = RuledS3("videos")
    assert verdicts(await _bucket(Storage(s3, "videos"), OWN, "videos")) == ["ok", "ok", "ok"]
    assert s3.objects("videos") == {}
    assert verdicts(await _bucket(Storage(s3, "videos"), OWN, "archive")) == ["warning"]


async def test_a_server_whose_clock_is_wrong_is_told_by_what_it_writes() -> None:
    s3 = RuledS3("videos")
    s3.clock = lambda: datetime.now(UTC) - timedelta(minutes=3)
    found = await _bucket(Storage(s3, "videos"), OWN, "videos")
    assert verdicts(found) == ["ok", "warning", "ok"]
    assert "behind this machine" in found[1].said


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (BucketRules(("input/",), is_versioned=False), ["wrong"]),
        (BucketRules(("",), is_versioned=False), ["wrong"]),
        (BucketRules(("holidays/",), is_versioned=True), ["warning"]),
        (BucketRules((), is_versioned=False, aborts_after=1), ["warning"]),
        (BucketRules((), is_versioned=False, aborts_after=7), []),
    ],
)
async def test_a_server_that_does_by_itself_what_does_harm_is_told(
    rules: BucketRules, expected: list[Verdict]
) -> None:
    s3 = RuledS3("videos")
    s3.kept = rules
    assert verdicts(await _bucket(Storage(s3, "videos"), OWN, "videos"))[2:] == [*expected, "ok"]


async def test_a_model_that_is_not_there_or_not_the_pinned_one_is_told(tmp_path: Path) -> None:
    (found,) = await look_at_model(changed(model=str(tmp_path / "none.pt"), data_dir=tmp_path))
    assert (found.verdict, "none.pt" in found.said) == ("wrong", True)
    (found,) = await look_at_model(changed(model_sha256="0" * 64, data_dir=tmp_path))
    assert found.verdict == "wrong"
    assert "0000" in found.said


def test_decoders_that_may_ask_the_kernel_for_anything_are_wrong() -> None:
    full = dict.fromkeys(("no_new_privileges", "landlock", "seccomp"), "")
    assert verdicts(sandbox.judge(full, "here")) == ["ok"]
    assert verdicts(sandbox.judge(full | {"landlock": "too old"}, "here")) == ["ok"]
    assert verdicts(sandbox.judge(full | {"landlock": "a", "no_new_privileges": "b"}, "here")) == ["warning"]
    assert verdicts(sandbox.judge(full | {"seccomp": "refused"}, "here")) == ["wrong"]


@pytest.mark.skipif(obstacle() is not None, reason=str(obstacle()))
def test_a_disk_that_is_nearly_full_is_told_and_each_disk_once(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "faust").mkdir()
    settings = changed(data_dir=tmp_path)
    with SmallDisk.over(tmp_path / "work", size=8 * MEBIBYTE):
        found = list(look_at_disks(settings))
    assert len(found) == 2
    assert (found[1].verdict, "the work folder" in found[1].said) == ("warning", True)
    assert verdicts(list(look_at_disks(changed(data_dir=tmp_path / "none")))) == ["unknown"]


async def test_the_indexes_that_are_looked_for_are_those_of_the_documented_questions() -> None:
    wanted = await wanted_indexes(OWN)
    ours = {
        (name, written(index))
        for (where, name), some in wanted.items()
        if where == "main_db"
        for index in some
    }
    assert ours == {(row.collection, row.index) for row in read_table() if row.index != BY_ID}
    assert len(wanted["runner_db", "runner_predictions"]) == 4


def test_with_everything_away_the_command_says_so_and_what_to_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nowhere = "127.0.0.1:1"
    for name, value in {
        "KAFKA_BOOTSTRAP_SERVERS": nowhere,
        "MONGO_URI": f"mongodb://{nowhere}/",
        "RUNNER_MONGO_URI": f"mongodb://{nowhere}/",
        "MINIO_ENDPOINT": nowhere,
        "API_URL": f"http://{nowhere}",
        "OUTBOX_URL": f"http://{nowhere}",
        "RUNNER_URL": f"http://{nowhere}",
        "DATA_DIR": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(examination.examine, "__kwdefaults__", {"asked": ASKED, "tried": []})
    assert run(["doctor", "--json"]) == 69
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    away = [line["check"] for line in lines if line["verdict"] == "away"]
    assert away == ["kafka", "mongo", "mongo", "s3", "processes", "processes", "processes"]
    assert all(line["remedy"] for line in lines if line["verdict"] != "ok")


def test_a_setting_that_cannot_be_read_is_an_operators_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("VIDEO_PARTITIONS", "many")
    assert run(["doctor"]) == EXIT_MISCONFIGURED
