"""What ended long ago goes as if somebody had deleted it, and nothing else does."""

from dataclasses import dataclass
from datetime import timedelta

import pytest

from api.lifecycle.retention import Retention
from app.clients.main_db import retirements
from app.clients.main_db.webhook_deliveries import Delivery
from app.domain.failures import failure
from tests.api.conftest import Door

KEEP = timedelta(days=30)
A_MOMENT = timedelta(seconds=1)


class Killed(BaseException):
    """The process dies here."""


@dataclass
class Kept:
    """The API, and its retention."""

    door: Door

    def retention(self) -> Retention:
        """What another process of the API would run."""
        services = self.door.services
        return Retention(
            services.outbox.retirements,
            services.deliveries,
            self.door.waker,
            keep=KEEP,
            now=self.door.clock,
        )

    async def end(self, *video_ids: str, webhook: str | None = None) -> None:
        """Videos that are ready now."""
        for video_id in video_ids:
            await self.door.services.outbox.accept(
                video_id=video_id,
                bucket="videos",
                object_name=f"input/{video_id}.mp4",
                input_owned=True,
                webhook=webhook,
            )
            await self._set("ready", video_id)

    async def fail(self, video_id: str) -> None:
        """A video that has failed now."""
        await self.door.accept(video_id)
        await self._set("failed", video_id)

    async def _set(self, outcome: str, video_id: str) -> None:
        error = failure("not_a_video") if outcome == "failed" else None
        assert await self.door.services.outbox.set_outcome(
            video_id,
            "failed" if outcome == "failed" else "ready",
            attempt=1,
            at=self.door.clock.now,
            error=error,
        )

    def pass_by(self, time: timedelta) -> None:
        """Time goes by."""
        self.door.clock.pass_by(time)

    def known(self) -> set[str]:
        """Videos that clients see."""
        return {key for key, each in self.door.videos.documents.items() if each.get("deleted_at") is None}

    def commands(self) -> list[tuple[str, str]]:
        """What the pipeline is asked for."""
        return sorted((each["video_id"], each["kind"]) for each in self.door.commands.documents.values())


@pytest.fixture
def kept(door: Door) -> Kept:
    return Kept(door)


async def test_what_ended_long_enough_ago_is_deleted_as_by_a_client(kept: Kept) -> None:
    await kept.end("ready")
    await kept.fail("failed")
    await kept.door.accept("cancelled")
    await kept.door.accept("in work")
    video = await kept.door.services.outbox.get("cancelled")
    assert video is not None
    assert await kept.door.services.outbox.withdrawals.cancel(video)
    kept.pass_by(KEEP)
    await kept.end("young")

    assert await kept.retention().retire_some() == 0, "not a moment too early"
    kept.pass_by(A_MOMENT)
    assert await kept.retention().retire_some() == 3

    assert kept.known() == {"in work", "young"}
    assert [each for each in kept.commands() if each[1] == "delete"] == [
        ("cancelled", "delete"),
        ("failed", "delete"),
        ("ready", "delete"),
    ]
    assert (await kept.door.client.get("/api/result_video/ready")).status_code == 404
    assert not any("retired" in each for each in kept.door.videos.documents.values())
    assert kept.door.waker.knocks == 1


async def test_the_command_says_whether_the_input_is_ours(kept: Kept) -> None:
    await kept.door.services.outbox.accept(
        video_id="theirs", bucket="videos", object_name="archive/theirs.mp4", input_owned=False
    )
    await kept._set("ready", "theirs")
    kept.pass_by(KEEP + A_MOMENT)
    await kept.retention().retire_some()
    (command,) = kept.door.commands.documents.values()
    assert (command["payload"]["object"], command["input_owned"]) == ("archive/theirs.mp4", False)


async def test_a_video_that_is_tried_again_at_that_very_moment_stays(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept.fail("a")
    kept.pass_by(KEEP + A_MOMENT)
    outbox = kept.door.services.outbox
    found = outbox.retirements.ended

    async def found_and_retried(**times: object) -> object:
        videos = await found(**times)  # type: ignore[arg-type]  # as it was called
        assert await outbox.withdrawals.retry(videos[0])
        return videos

    monkeypatch.setattr(outbox.retirements, "ended", found_and_retried)
    assert await kept.retention().retire_some() == 0
    assert (kept.known(), kept.commands()) == ({"a"}, [])


async def test_whoever_dies_between_mark_and_command_is_made_up_for(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept.end("a", "b")
    kept.pass_by(KEEP + A_MOMENT)

    def die(name: str, _subject: str = "") -> None:
        if name == "retention.marked":
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(retirements, "failpoint", die)
        with pytest.raises(Killed):
            await kept.retention().retire_some()
    assert (kept.known(), kept.commands()) == (set(), [])

    assert await kept.retention().retire_some() == 0
    assert kept.commands() == [("a", "delete"), ("b", "delete")]
    assert kept.door.waker.knocks == 1


async def test_a_video_stays_until_its_webhook_is_told_and_is_in_nobodys_way(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.lifecycle.retention.AT_ONCE", 1)
    monkeypatch.setattr("app.clients.main_db.retirements.AT_ONCE", 1)
    await kept.end("due", webhook="https://hooks.example.org/kadr")
    kept.pass_by(A_MOMENT)
    await kept.end("told", webhook="https://hooks.example.org/kadr")
    kept.pass_by(A_MOMENT)
    await kept.end("nobody's")
    outbox, deliveries = kept.door.services.outbox, kept.door.services.deliveries
    for video, endings in await outbox.endings.due(limit=9):
        if video.id == "told":
            now = kept.door.clock.now
            await deliveries.add(
                Delivery("m", "told", None, "video.ready", "u", "h", "{}", created_at=now, due_at=now)
            )
            await outbox.endings.settle(video.id, endings[0])
    kept.pass_by(KEEP + A_MOMENT)

    retention = kept.retention()
    assert await retention.retire_some() == 1
    assert kept.known() == {"due", "told"}

    await deliveries.forget("told")
    assert await retention.retire_some() == 1
    assert kept.known() == {"due"}
