"""The outbox, on documents in memory and on the real server: the same claims hold for both."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from app.clients.main_db.video_outbox import Cursor, Video
from app.domain.failures import failure
from app.domain.messages import Failure, Options
from app.errors import Conflict
from app.settings import Settings
from tests.support.outboxes import LEASE, KeptOutbox, open_outbox

SECOND = timedelta(seconds=1)
MINUTES_15 = timedelta(minutes=15)


class Kept(KeptOutbox):
    """An outbox, its collections and its clock."""

    async def accept(self, video_id: str, *, is_owned: bool = True) -> Video:
        self.clock.pass_by(SECOND)
        return await self.outbox.accept(
            video_id=video_id, bucket="videos", object_name=f"input/{video_id}.mp4", input_owned=is_owned
        )

    async def send_all(self) -> None:
        while some := await self.outbox.claims.take():
            for claimed in some:
                await self.outbox.claims.mark_sent(claimed)


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.servers)])
async def kept(request: pytest.FixtureRequest) -> AsyncIterator[Kept]:
    servers: Settings | None = request.getfixturevalue("servers") if request.param == "real" else None
    async with open_outbox(servers) as opened:
        yield Kept(**vars(opened))


async def test_a_document_has_the_shape_that_the_design_gives_it(kept: Kept) -> None:
    await kept.outbox.accept(
        video_id="a",
        bucket="videos",
        object_name="input/a.mp4",
        input_owned=True,
        filename="cats.mp4",
        options=Options(conf=0.5),
    )
    assert await kept.videos.find_one({"_id": "a"}) == {
        "_id": "a",
        "status": "new",
        "payload": {
            "bucket": "videos",
            "object": "input/a.mp4",
            "media_type": "video",
            "options": {"conf": 0.5},
        },
        "attempt": 1,
        "input_owned": True,
        "created_at": kept.clock.now,
        "tries": 0,
        "redrives": 0,
        "filename": "cats.mp4",
    }


async def test_an_accepted_video_is_found_as_it_was_accepted(kept: Kept) -> None:
    accepted = await kept.accept("a")
    assert await kept.outbox.get("a") == accepted
    assert accepted.client_status == "new"
    assert await kept.outbox.get("b") is None


async def test_an_id_is_accepted_once(kept: Kept) -> None:
    await kept.accept("a")
    with pytest.raises(Conflict):
        await kept.accept("a")


async def test_what_is_claimed_is_what_was_asked_oldest_first(kept: Kept) -> None:
    for name in "abc":
        await kept.accept(name)
    claimed = await kept.outbox.claims.take(limit=2)
    assert [item.asked.video_id for item in claimed] == ["a", "b"]
    asked = claimed[0].asked
    assert (asked.kind, asked.attempt, asked.bucket, asked.object) == (
        "submitted",
        1,
        "videos",
        "input/a.mp4",
    )
    assert asked.input_owned
    assert claimed[0].tries == 1


async def test_a_video_is_claimed_by_one_worker_until_its_lease_ends(kept: Kept) -> None:
    await kept.accept("a")
    assert len(await kept.outbox.claims.take()) == 1
    assert await kept.outbox.claims.take() == []
    kept.clock.pass_by(LEASE)
    (again,) = await kept.outbox.claims.take()
    assert again.tries == 2


async def test_of_many_workers_at_once_each_video_has_one(kept: Kept) -> None:
    for number in range(20):
        await kept.accept(f"v{number:02}")
    claims = await asyncio.gather(*(kept.outbox.claims.take() for _ in range(5)))
    names = [item.key for claim in claims for item in claim]
    assert sorted(names) == [f"v{number:02}" for number in range(20)]


async def test_a_released_claim_is_free_at_once(kept: Kept) -> None:
    await kept.accept("a")
    (claimed,) = await kept.outbox.claims.take()
    await kept.outbox.claims.note_error(claimed, "Kafka is away")
    await kept.outbox.claims.release(claimed)
    (again,) = await kept.outbox.claims.take()
    assert again.key == "a"
    video = await kept.outbox.get("a")
    assert video is not None
    assert video.last_error == "Kafka is away"


async def test_a_renewed_lease_holds_longer(kept: Kept) -> None:
    await kept.accept("a")
    (claimed,) = await kept.outbox.claims.take()
    kept.clock.pass_by(LEASE / 2)
    claimed = await kept.outbox.claims.renew(claimed)
    kept.clock.pass_by(LEASE / 2)
    assert await kept.outbox.claims.take() == []
    assert await kept.outbox.claims.renew(claimed)


async def test_a_lost_lease_cannot_be_renewed_nor_released(kept: Kept) -> None:
    await kept.accept("a")
    (mine,) = await kept.outbox.claims.take()
    kept.clock.pass_by(LEASE)
    (theirs,) = await kept.outbox.claims.take()
    with pytest.raises(Conflict):
        await kept.outbox.claims.renew(mine)
    await kept.outbox.claims.release(mine)
    assert await kept.outbox.claims.take() == []
    assert await kept.outbox.claims.mark_sent(theirs)


async def test_a_video_is_sent_once(kept: Kept) -> None:
    await kept.accept("a")
    (claimed,) = await kept.outbox.claims.take()
    assert await kept.outbox.claims.mark_sent(claimed)
    assert not await kept.outbox.claims.mark_sent(claimed)
    kept.clock.pass_by(LEASE)
    assert await kept.outbox.claims.take() == []
    video = await kept.outbox.get("a")
    assert video is not None
    assert (video.client_status, video.tries) == ("sent", 1)
    assert video.sent_at == kept.clock.now - LEASE


async def test_pages_lead_through_every_video_once_newest_first(kept: Kept) -> None:
    for name in "abcde":
        await kept.accept(name)
    await kept.videos.update_many({}, {"$set": {"created_at": kept.clock.now}})
    found: list[str] = []
    after: Cursor | None = None
    while True:
        page = await kept.outbox.newest(limit=2, after=after)
        found += [video.id for video in page.videos]
        if page.next is None:
            break
        after = page.next
    assert found == list("edcba")
    assert await kept.outbox.total() == 5


async def test_a_page_that_is_just_full_is_the_last_one(kept: Kept) -> None:
    for name in "ab":
        await kept.accept(name)
    assert (await kept.outbox.newest(limit=2)).next is None


async def test_an_outcome_is_set_once(kept: Kept) -> None:
    await kept.accept("a")
    none = Failure("not_a_video", "It is none.")
    assert await kept.outbox.set_outcome("a", "failed", attempt=1, at=kept.clock.now, error=none)
    assert not await kept.outbox.set_outcome("a", "failed", attempt=1, at=kept.clock.now)
    assert not await kept.outbox.set_outcome("unknown", "ready", attempt=1, at=kept.clock.now)
    video = await kept.outbox.get("a")
    assert video is not None
    assert (video.client_status, video.error, video.outcome_at) == ("failed", none, kept.clock.now)


async def test_a_result_wins_over_a_failure_that_was_noted_before(kept: Kept) -> None:
    await kept.accept("a")
    await kept.outbox.set_outcome(
        "a", "failed", attempt=1, at=kept.clock.now, error=failure("worker_crashed")
    )
    assert await kept.outbox.set_outcome("a", "ready", attempt=1, at=kept.clock.now)
    assert not await kept.outbox.set_outcome(
        "a", "failed", attempt=1, at=kept.clock.now, error=failure("no_frames")
    )
    video = await kept.outbox.get("a")
    assert video is not None
    assert (video.client_status, video.error) == ("ready", None)


async def test_sent_videos_without_an_outcome_are_listed_oldest_first(kept: Kept) -> None:
    for name in "abcd":
        await kept.accept(name)
    await kept.send_all()
    await kept.accept("new")
    await kept.outbox.set_outcome("b", "ready", attempt=1, at=kept.clock.now)
    first = await kept.outbox.without_outcome(limit=2)
    assert [video.id for video in first] == ["a", "c"]
    rest = await kept.outbox.without_outcome(limit=2, after=(first[-1].created_at, first[-1].id))
    assert [video.id for video in rest] == ["d"]


async def test_a_video_without_an_outcome_is_due_again_at_doubling_intervals(kept: Kept) -> None:
    await kept.accept("a")
    await kept.send_all()
    due = []
    for minute in range(1, 121):
        kept.clock.pass_by(timedelta(minutes=1))
        for claimed in await kept.outbox.claims.take_overdue(MINUTES_15):
            assert await kept.outbox.claims.mark_redriven(claimed)
            due.append(minute)
    assert due == [15, 45, 105]


async def test_a_deletion_that_was_asked_for_while_its_video_was_forgotten_ends(kept: Kept) -> None:
    await kept.accept("a")
    asked_twice = await kept.videos.find_one({"_id": "a"})
    assert asked_twice is not None
    await kept.outbox.forget("a")
    await kept.outbox._delete([asked_twice])
    await kept.send_all()
    kept.clock.pass_by(MINUTES_15)

    assert await kept.outbox.claims.take_overdue(MINUTES_15) == []
    assert await kept.commands.count({}) == 0


async def test_a_redrive_is_claimed_by_one_worker(kept: Kept) -> None:
    await kept.accept("a")
    await kept.send_all()
    kept.clock.pass_by(MINUTES_15)
    (claimed,) = await kept.outbox.claims.take_overdue(MINUTES_15)
    assert claimed.asked.kind == "submitted"
    assert await kept.outbox.claims.take_overdue(MINUTES_15) == []


async def test_a_video_with_an_outcome_is_never_due_again(kept: Kept) -> None:
    await kept.accept("a")
    await kept.send_all()
    await kept.outbox.set_outcome("a", "ready", attempt=1, at=kept.clock.now)
    kept.clock.pass_by(MINUTES_15)
    assert await kept.outbox.claims.take_overdue(MINUTES_15) == []


async def test_a_deleted_video_is_unknown_to_every_question(kept: Kept) -> None:
    for name in "ab":
        await kept.accept(name)
    assert await kept.outbox.delete_one("a")
    assert not await kept.outbox.delete_one("a")
    assert not await kept.outbox.delete_one("unknown")
    assert await kept.outbox.get("a") is None
    assert [video.id for video in (await kept.outbox.newest(limit=10)).videos] == ["b"]
    assert await kept.outbox.total() == 1
    assert not await kept.outbox.set_outcome("a", "ready", attempt=1, at=kept.clock.now)
    assert await kept.outbox.is_known("a")


async def test_a_deletion_is_published_instead_of_the_video(kept: Kept) -> None:
    await kept.accept("a", is_owned=True)
    await kept.outbox.delete_one("a")
    (claimed,) = await kept.outbox.claims.take()
    asked = claimed.asked
    assert claimed.is_command
    assert (asked.video_id, asked.kind, asked.attempt) == ("a", "delete", 1)
    assert (asked.bucket, asked.object, asked.input_owned) == ("videos", "input/a.mp4", True)
    assert await kept.outbox.claims.mark_sent(claimed)
    kept.clock.pass_by(LEASE)
    assert await kept.outbox.claims.take() == []


async def test_a_deletion_that_is_not_confirmed_is_published_again(kept: Kept) -> None:
    await kept.accept("a")
    await kept.outbox.delete_one("a")
    await kept.send_all()
    kept.clock.pass_by(MINUTES_15)
    (claimed,) = await kept.outbox.claims.take_overdue(MINUTES_15)
    assert claimed.asked.kind == "delete"
    assert await kept.outbox.claims.mark_redriven(claimed)


async def test_a_cleanup_deletes_every_video_and_counts_them(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.clients.main_db.video_outbox.DELETE_AT_ONCE", 2)
    for name in "abcde":
        await kept.accept(name)
    assert await kept.outbox.delete_all() == 5
    assert await kept.outbox.total() == 0
    assert len(await kept.outbox.claims.take()) == 5
    assert await kept.outbox.delete_all() == 0


async def test_a_new_video_does_not_wait_for_a_cleanup_of_many(kept: Kept) -> None:
    for name in "abcde":
        await kept.accept(name)
    await kept.outbox.delete_all()
    await kept.accept("new")
    claimed = await kept.outbox.claims.take(limit=4)
    assert [item.asked.kind for item in claimed] == ["delete", "delete", "submitted"]


async def test_a_forgotten_video_leaves_nothing(kept: Kept) -> None:
    await kept.accept("a")
    await kept.outbox.delete_one("a")
    await kept.outbox.forget("a")
    assert await kept.videos.count({}) == 0
    assert await kept.commands.count({}) == 0
    assert not await kept.outbox.is_known("a")


async def test_a_video_that_is_asked_for_again_is_published_anew_as_its_next_attempt(kept: Kept) -> None:
    await kept.accept("a")
    await kept.send_all()
    (video,) = await kept.outbox.without_outcome(limit=10)

    assert await kept.outbox.ask_again(video)

    (claimed,) = await kept.outbox.claims.take()
    assert (claimed.asked.kind, claimed.asked.attempt, claimed.asked.object) == (
        "submitted",
        2,
        "input/a.mp4",
    )
    assert await kept.outbox.claims.mark_sent(claimed)
    (again,) = await kept.outbox.without_outcome(limit=10)
    assert (again.attempt, again.redrives, again.sent_at) == (2, 0, kept.clock.now)


async def test_a_video_is_asked_for_again_once_however_many_ask(kept: Kept) -> None:
    await kept.accept("a")
    await kept.send_all()
    (video,) = await kept.outbox.without_outcome(limit=10)
    assert sorted(await asyncio.gather(*(kept.outbox.ask_again(video) for _ in range(5)))) == [False] * 4 + [
        True
    ]
    await kept.send_all()
    assert not await kept.outbox.ask_again(video), "it was published meanwhile"


async def test_what_has_ended_or_is_deleted_or_waits_is_not_asked_for_again(kept: Kept) -> None:
    for name in "abc":
        await kept.accept(name)
    waiting = await kept.outbox.get("a")
    assert waiting is not None
    assert not await kept.outbox.ask_again(waiting)
    await kept.send_all()
    _, deleted, ended = await kept.outbox.without_outcome(limit=10)
    await kept.outbox.delete_one(deleted.id)
    await kept.outbox.set_outcome(ended.id, "ready", attempt=ended.attempt, at=kept.clock.now)
    assert not await kept.outbox.ask_again(deleted)
    assert not await kept.outbox.ask_again(ended)


async def test_who_publishes_a_video_again_just_now_loses_it_to_the_next_attempt(kept: Kept) -> None:
    await kept.accept("a")
    await kept.send_all()
    kept.clock.pass_by(MINUTES_15)
    (redriven,) = await kept.outbox.claims.take_overdue(MINUTES_15)
    (video,) = await kept.outbox.without_outcome(limit=10)

    assert await kept.outbox.ask_again(video)

    assert not await kept.outbox.claims.mark_redriven(redriven)
    kept.clock.pass_by(SECOND)
    with pytest.raises(Conflict):
        await kept.outbox.claims.renew(redriven)
    assert len(await kept.outbox.claims.take()) == 1


async def test_an_earlier_attempt_that_was_published_late_does_not_count_as_the_next_one(kept: Kept) -> None:
    await kept.accept("a")
    (frozen,) = await kept.outbox.claims.take()
    kept.clock.pass_by(LEASE)
    await kept.send_all()
    (video,) = await kept.outbox.without_outcome(limit=10)
    await kept.outbox.ask_again(video)

    assert not await kept.outbox.claims.mark_sent(frozen)

    (claimed,) = await kept.outbox.claims.take()
    assert claimed.asked.attempt == 2


async def test_deletions_that_are_not_confirmed_are_listed_oldest_first_and_published_anew(
    kept: Kept,
) -> None:
    for name in "abc":
        await kept.accept(name)
        kept.clock.pass_by(SECOND)
        await kept.outbox.delete_one(name)
    await kept.send_all()
    await kept.accept("d")
    await kept.outbox.delete_one("d")
    first = await kept.outbox.unconfirmed_deletions(limit=2)
    assert [each.video_id for each in first] == ["a", "b"]
    assert first[0].bucket == "videos"
    (last,) = await kept.outbox.unconfirmed_deletions(limit=2, after=(first[1].created_at, first[1].id))
    await kept.outbox.forget("c")

    assert [await kept.outbox.delete_again(each) for each in [*first, last]] == [True, True, False]

    assert not await kept.outbox.delete_again(first[0])
    claimed = await kept.outbox.claims.take()
    assert [(each.asked.video_id, each.asked.kind) for each in claimed] == [
        ("a", "delete"),
        ("b", "delete"),
        ("d", "delete"),
    ]


async def test_what_waits_to_be_published_is_counted(kept: Kept) -> None:
    for name in "abc":
        await kept.accept(name)
    await kept.send_all()
    await kept.accept("d")
    await kept.outbox.delete_one("a")
    assert await kept.outbox.waiting() == 2


async def test_a_video_that_is_refused_has_failed_and_is_never_claimed_again(kept: Kept) -> None:
    await kept.accept("a")
    (claimed,) = await kept.outbox.claims.take()
    assert await kept.outbox.claims.refuse(claimed, failure("worker_crashed"))
    video = await kept.outbox.get("a")
    assert video is not None
    assert (video.client_status, video.error) == ("failed", failure("worker_crashed"))
    kept.clock.pass_by(timedelta(days=1))
    assert await kept.outbox.claims.take() == []
    assert await kept.outbox.claims.take_overdue(timedelta(seconds=1)) == []
    assert await kept.outbox.without_outcome(limit=9) == []


async def test_what_was_published_is_not_refused_any_more(kept: Kept) -> None:
    await kept.accept("a")
    (claimed,) = await kept.outbox.claims.take()
    await kept.outbox.claims.mark_sent(claimed)
    assert not await kept.outbox.claims.refuse(claimed, failure("worker_crashed"))
    video = await kept.outbox.get("a")
    assert video is not None
    assert video.client_status == "sent"


async def test_a_claim_that_is_freed_can_be_taken_at_once(kept: Kept) -> None:
    await kept.accept("a")
    (claimed,) = await kept.outbox.claims.take()
    assert await kept.outbox.claims.take() == []
    await kept.outbox.claims.free([claimed.key, "unknown"])
    assert [each.key for each in await kept.outbox.claims.take()] == ["a"]


async def test_an_owner_finds_its_own_videos_and_nobody_elses(kept: Kept) -> None:
    for video_id, owner in (("a", "one"), ("b", "two"), ("c", "one"), ("d", None)):
        kept.clock.pass_by(SECOND)
        await kept.outbox.accept(
            video_id=video_id, bucket="videos", object_name="x", input_owned=False, owner=owner
        )
    assert [video.id for video in (await kept.outbox.newest(limit=10, owner="one")).videos] == ["c", "a"]
    assert await kept.outbox.total(owner="one") == 2
    assert await kept.outbox.total() == 4
    assert await kept.outbox.get("b", owner="one") is None
    assert await kept.outbox.get("d", owner="one") is None
    found = await kept.outbox.get("b", owner="two")
    assert found is not None
    assert found.owner == "two"
    assert not await kept.outbox.delete_one("b", owner="one")
    assert await kept.outbox.delete_one("b", owner="two")
    without = await kept.videos.find_one({"_id": "d"})
    assert without is not None
    assert "owner" not in without


async def test_a_page_of_an_owner_goes_on_within_its_videos(kept: Kept) -> None:
    for number in range(6):
        kept.clock.pass_by(SECOND)
        owner = "one" if number % 2 else "two"
        await kept.outbox.accept(
            video_id=str(number), bucket="videos", object_name="x", input_owned=False, owner=owner
        )
    first = await kept.outbox.newest(limit=2, owner="one")
    assert [video.id for video in first.videos] == ["5", "3"]
    rest = await kept.outbox.newest(limit=2, after=first.next, owner="one")
    assert ([video.id for video in rest.videos], rest.next) == (["1"], None)


async def test_what_waits_of_an_owner_has_no_outcome_and_is_not_deleted(kept: Kept) -> None:
    for video_id in ("a", "b", "c"):
        await kept.outbox.accept(
            video_id=video_id, bucket="videos", object_name="x", input_owned=False, owner="one"
        )
    await kept.accept("other")
    assert await kept.outbox.unfinished_of("one", limit=10) == {"a", "b", "c"}
    assert len(await kept.outbox.unfinished_of("one", limit=2)) == 2
    await kept.outbox.set_outcome("a", "failed", attempt=1, at=kept.clock.now)
    await kept.outbox.delete_one("b")
    assert await kept.outbox.unfinished_of("one", limit=10) == {"c"}
