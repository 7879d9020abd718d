"""(attempt, status) only moves forward, and a split has one owner: in memory and on the real server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from app.clients.mongo import Documents, Mongo, open_mongo
from app.clients.runner_records import RunnerRecords
from app.domain.failures import failure
from app.domain.messages import VideoAsked
from app.domain.progress import BEFORE, Status
from app.domain.records import Record
from app.settings import Settings
from tests.support.examples import asked, facts
from tests.support.workers import MemoryMongo, memory_records

LEASE = timedelta(seconds=15)
GONE = timedelta(seconds=-1)
"""A lease that has run out as soon as it is taken."""


class OneCollection(Mongo):
    """A server of which only one collection of this test is seen."""

    def __init__(self, mongo: Mongo, name: str) -> None:
        self._mongo, self._name = mongo, name

    def collection(self, _database: str, _name: str) -> Documents:
        return self._mongo.collection("kadr_test", self._name)

    async def ping(self) -> None:
        await self._mongo.ping()


Open = Callable[..., RunnerRecords]


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.servers)])
async def open_as(request: pytest.FixtureRequest) -> AsyncIterator[Open]:
    """Opens the records for an owner; all of them see the same collection."""
    if request.param == "fake":
        memory = MemoryMongo()
        yield lambda owner="here", lease=LEASE: memory_records(memory, owner=owner, lease=lease)
        return
    settings: Settings = request.getfixturevalue("servers")
    async with open_mongo(settings.runner_mongo_uri) as mongo:
        seen = OneCollection(mongo, f"runner-{uuid4().hex}")
        await RunnerRecords(seen, "here", LEASE).prepare()
        yield lambda owner="here", lease=LEASE: RunnerRecords(seen, owner, lease)


@pytest.fixture
def records(open_as: Open) -> RunnerRecords:
    return open_as()


async def known(records: RunnerRecords, video_id: str = "a") -> Record:
    record = await records.get(video_id)
    assert record is not None
    return record


async def claimed(records: RunnerRecords, video_id: str = "a") -> Record:
    (record,) = await records.claim_splits(1, first=video_id)
    return record


def command(kind: str, attempt: int = 1) -> VideoAsked:
    return asked("a", kind, attempt=attempt)


async def test_an_accepted_video_is_in_work(records: RunnerRecords) -> None:
    assert await records.accept(asked("a"))
    record = await known(records)
    assert (record.attempt, record.status, record.bucket, record.object, record.input_owned) == (
        1,
        "processing",
        "videos",
        "input/a.mp4",
        True,
    )
    assert await records.get("nobody") is None


async def test_a_video_is_accepted_once_however_often_and_however_many_ask(records: RunnerRecords) -> None:
    accepted = await asyncio.gather(*(records.accept(asked("a")) for _ in range(8)))
    assert sum(accepted) == 1
    assert not await records.accept(asked("a"))


async def test_only_a_later_attempt_replaces_an_earlier_one(records: RunnerRecords) -> None:
    await records.accept(asked("a", attempt=2))
    await records.advance("a", 2, "ready", output_s3={"bucket": "b"}, ready_at=datetime.now(UTC))
    assert not await records.accept(asked("a", attempt=1))
    assert await records.accept(asked("a", attempt=3))
    record = await known(records)
    assert (record.attempt, record.status, record.received_frames, record.error) == (3, "processing", 0, None)


FORWARD = [(before, after) for after, befores in BEFORE.items() for before in befores]
BACK = [
    (before, after)
    for before in BEFORE
    for after in BEFORE
    if before not in BEFORE[after] and before != "deleted"
]


@pytest.mark.parametrize(("before", "after"), FORWARD)
async def test_a_state_is_reached_from_those_before_it(
    records: RunnerRecords, before: Status, after: Status
) -> None:
    await records.accept(asked("a"))
    if before != "processing":
        assert await records.advance("a", 1, before)
    assert await records.advance("a", 1, after, error=failure("no_frames") if after == "failed" else None)
    record = await known(records)
    assert record.status == after
    assert (record.error is not None) == (after == "failed")


@pytest.mark.parametrize(("before", "after"), BACK)
async def test_no_state_is_reached_from_one_behind_it(
    records: RunnerRecords, before: Status, after: Status
) -> None:
    await records.accept(asked("a"))
    await records.advance("a", 1, before)
    assert not await records.advance("a", 1, after)
    assert (await known(records)).status == before


async def test_a_late_write_for_an_earlier_attempt_changes_nothing(records: RunnerRecords) -> None:
    await records.accept(asked("a"))
    split = await claimed(records)
    await records.accept(asked("a", "retry", attempt=2))
    assert not await records.renew_split(split, 7)
    assert not await records.end_split(split, facts(3))
    assert not await records.advance("a", 1, "failed")
    await records.note_received("a", 1, 99)
    record = await known(records)
    assert (record.attempt, record.split_frames, record.received_frames) == (2, 0, 0)


async def test_a_split_has_one_owner(open_as: Open) -> None:
    records = open_as()
    for number in range(5):
        await records.accept(asked(f"v{number}"))
    taken = await asyncio.gather(*(open_as(f"runner {number}").claim_splits(5) for number in range(4)))
    ids = [record.video_id for each in taken for record in each]
    assert sorted(ids) == [f"v{number}" for number in range(5)]


async def test_no_more_is_claimed_than_there_is_room_for_oldest_first(records: RunnerRecords) -> None:
    for number in range(4):
        await records.accept(asked(f"v{number}"))
        await asyncio.sleep(0.002)  # times are kept in whole milliseconds
    assert [record.video_id for record in await records.claim_splits(2)] == ["v0", "v1"]
    assert await records.claim_splits(0) == []
    assert [record.video_id for record in await records.claim_splits(9, first="v3")] == ["v3"]


async def test_a_split_whose_owner_is_dead_is_taken_up_where_it_was_confirmed(open_as: Open) -> None:
    dead, alive = open_as("dead", GONE), open_as("alive")
    await dead.accept(asked("a"))
    split = await claimed(dead)
    assert await dead.renew_split(split, 7)
    assert (await claimed(alive)).split_frames == 7
    assert not await dead.renew_split(split, 8), "it is the other's now"


async def test_a_claim_that_has_run_out_holds_no_more_even_for_who_takes_the_split_again(
    open_as: Open,
) -> None:
    runner = open_as("runner", GONE)
    await runner.accept(asked("a"))
    before = await claimed(runner)
    again = await claimed(runner)
    assert not await runner.renew_split(before, 7)
    assert not await runner.count_try(before)
    assert not await runner.release_split(before, 7, tries=0)
    assert not await runner.end_split(before, facts(3))
    assert (await known(runner)).split_owner == again.claim
    assert await runner.renew_split(again, 2)
    assert not await runner.renew_split(await known(runner), 9), "what was only looked at is not held"


async def test_a_split_that_is_given_back_can_be_taken_at_once(open_as: Open) -> None:
    here, there = open_as("here"), open_as("there")
    await here.accept(asked("a"))
    split = await claimed(here)
    assert await there.claim_splits(1) == []
    assert await here.count_try(split)
    assert await here.release_split(split, 4, tries=0)
    taken = await claimed(there)
    assert (taken.split_frames, taken.split_tries) == (4, 0)


async def test_a_video_that_nobody_has_opened_goes_before_an_older_one_that_is_known_to_be_long(
    records: RunnerRecords,
) -> None:
    await records.accept(asked("long"))
    first = await records.next_waiting()
    assert first is not None
    assert first.is_unknown
    split = await claimed(records, "long")
    assert await records.release_split(split, 0, tries=0, expected=36_000)
    await records.accept(asked("new"))

    following = await records.next_waiting()
    assert following is not None
    assert (following.video_id, following.is_unknown) == ("new", True)
    taken = await records.claim_splits(2)
    assert [(each.video_id, each.is_unknown) for each in taken] == [("new", True), ("long", False)]
    assert await records.release_split(taken[1], 0, tries=0), "what is known is not forgotten"
    following = await records.next_waiting()
    assert following is not None
    assert following.expected_frames == 36_000


async def test_who_has_the_fewest_frames_left_is_claimed_first_and_of_equals_the_oldest(
    records: RunnerRecords,
) -> None:
    lengths = {"hour": (0, 9000), "half done": (4600, 9000), "later hour": (0, 9000), "minutes": (0, 1500)}
    for name, (done, expected) in lengths.items():
        await records.accept(asked(name))
        assert await records.release_split(await claimed(records, name), done, tries=0, expected=expected)
    await records.accept(asked("new"))

    in_order = ["new", "minutes", "half done", "hour", "later hour"]
    assert [each.video_id for each in await records.claim_splits(9)] == in_order


async def test_frames_that_are_decoded_again_are_few(records: RunnerRecords) -> None:
    await records.accept(asked("hour"))
    assert await records.end_split(await claimed(records, "hour"), facts(9000))
    assert await records.reopen_split("hour", 1, [5, 10])
    again = await claimed(records, "hour")
    assert again.split_left == 2
    assert await records.release_split(again, 0, tries=0)
    assert (await known(records, "hour")).split_left == 2


async def test_a_split_that_has_ended_is_not_claimed_again(records: RunnerRecords) -> None:
    await records.accept(asked("a"))
    assert await records.end_split(await claimed(records), facts(3))
    record = await known(records)
    assert (record.split_ended, record.total_frames, record.video) == (True, 3, facts(3))
    assert await records.claim_splits(1) == []


async def test_frames_that_are_missing_open_an_ended_split_for_just_those(open_as: Open) -> None:
    records = open_as("here", GONE)
    await records.accept(asked("a"))
    assert not await records.reopen_split("a", 1, [5]), "it still runs"
    await records.end_split(await claimed(records), facts(3))
    assert await records.reopen_split("a", 1, [5])
    again = await claimed(records)
    assert (again.only, again.video) == ([5], facts(3))
    await records.end_split(again, facts(3))
    assert (await known(records)).only is None


async def test_rows_that_were_lost_after_all_had_arrived_open_the_split_too_and_the_state_stays(
    open_as: Open,
) -> None:
    records = open_as("here", GONE)
    await records.accept(asked("a"))
    await records.end_split(await claimed(records), facts(3))
    await records.advance("a", 1, "predictable")
    assert await records.reopen_split("a", 1, [5])
    again = await claimed(records)
    assert await records.count_try(again)
    assert await records.renew_split(again, 2)
    assert await records.end_split(again, facts(3))
    assert ((await known(records)).status, again.only) == ("predictable", [5])


async def test_a_split_for_which_the_world_is_not_ready_is_left_alone_for_a_while(open_as: Open) -> None:
    records = open_as("here", GONE)
    await records.accept(asked("a"))
    assert await records.release_split(await claimed(records), 0, tries=0, pause=timedelta(seconds=9))
    assert await records.claim_splits(1) == []


async def test_received_frames_only_grow(records: RunnerRecords) -> None:
    await records.accept(asked("a"))
    for count in (3, 2, 5, 4):
        await records.note_received("a", 1, count)
    assert (await known(records)).received_frames == 5


async def test_a_video_that_does_not_move_is_found_and_counted_once(records: RunnerRecords) -> None:
    await records.accept(asked("a"))
    await records.end_split(await claimed(records), facts(3))
    before = datetime.now(UTC) - timedelta(minutes=5)
    assert await records.stalled(before, 10) == []
    (stalled,) = await records.stalled(datetime.now(UTC) + timedelta(seconds=1), 10)
    await asyncio.sleep(0.002)  # times are kept in whole milliseconds
    assert await records.count_check(stalled)
    assert not await records.count_check(stalled), "another runner has seen it too"
    assert (await known(records)).checks == 1
    await records.note_received("a", 1, 1)
    assert (await known(records)).checks == 0, "it moves again"


@pytest.mark.parametrize("status", ["cancelled", "deleted"])
async def test_a_withdrawal_ends_a_video_that_runs(records: RunnerRecords, status: Status) -> None:
    await records.accept(asked("a"))
    split = await claimed(records)
    assert await records.withdraw(command("cancel"), status, None)
    assert (await known(records)).status == status
    assert not await records.renew_split(split, 7), "who works on it stops"
    assert await records.claim_splits(1) == []


@pytest.mark.parametrize("status", ["cancelled", "deleted"])
async def test_a_withdrawal_that_overtakes_its_video_is_found_by_it(
    records: RunnerRecords, status: Status
) -> None:
    assert await records.withdraw(command("cancel"), status, failure("cancelled"))
    assert not await records.accept(asked("a"))
    record = await known(records)
    assert record.status == status
    assert record.bucket == ("videos" if status == "cancelled" else "")


async def test_a_deletion_leaves_a_tombstone_that_nothing_wakes(records: RunnerRecords) -> None:
    await records.accept(asked("a"))
    await records.end_split(await claimed(records), facts(3))
    assert await records.withdraw(command("delete"), "deleted", None)
    record = await known(records)
    assert (record.bucket, record.video, record.split_ended) == ("", None, False)
    assert not await records.accept(asked("a", "retry", attempt=2))
    assert not await records.withdraw(command("cancel", attempt=2), "cancelled", None)


async def test_a_cancel_of_an_earlier_attempt_does_nothing(records: RunnerRecords) -> None:
    await records.accept(asked("a", attempt=2))
    assert not await records.withdraw(command("cancel", attempt=1), "cancelled", None)
    assert (await known(records)).status == "processing"


async def test_old_tombstones_are_purged_and_nothing_else(records: RunnerRecords) -> None:
    await records.accept(asked("a"))
    await records.accept(asked("b"))
    await records.withdraw(command("delete"), "deleted", None)
    assert await records.purge_tombstones(datetime.now(UTC) - timedelta(days=14)) == 0
    assert await records.purge_tombstones(datetime.now(UTC) + timedelta(seconds=1)) == 1
    assert await records.get("a") is None
    assert await records.get("b") is not None


async def test_times_are_aware(records: RunnerRecords) -> None:
    await records.accept(asked("a"))
    assert (await known(records)).created_at.utcoffset() == timedelta(0)


async def test_a_split_that_its_runner_died_with_twice_is_taken_alone(open_as: Open) -> None:
    dead, alive = open_as("dead", GONE), open_as("alive")
    for video_id in "abc":
        await dead.accept(asked(video_id))
        await asyncio.sleep(0.002)  # times are kept in whole milliseconds
    for _ in range(2):
        assert await dead.count_try((await dead.claim_splits(1, first="b"))[0])
        await asyncio.sleep(0.002)  # as above: what changes nothing counts as no claim
    assert [each.video_id for each in await alive.claim_splits(9)] == ["a"]
    assert [each.video_id for each in await alive.claim_splits(9)] == ["b"]
    assert [each.video_id for each in await alive.claim_splits(9)] == ["c"]


async def test_a_split_whose_children_died_twice_is_no_danger_to_others(open_as: Open) -> None:
    records = open_as("here")
    await records.accept(asked("a"))
    await records.accept(asked("b"))
    (split,) = await records.claim_splits(1, first="a")
    await records.release_split(split, 0, tries=2)
    assert len(await records.claim_splits(9)) == 2


async def test_the_times_of_stages_are_noted_with_what_is_written_anyway_and_once(
    records: RunnerRecords,
) -> None:
    await records.accept(asked("a"))
    before = await known(records)
    assert (before.decoding_at, before.decoded_at, before.detected_at) == (None, None, None)
    split = await claimed(records)
    assert await records.count_try(split)
    begun = (await known(records)).decoding_at
    assert begun is not None
    assert await records.renew_split(split, 2, expected=9)
    assert (await known(records)).expected_frames == 9
    assert await records.end_split(split, facts(3))
    decoded = (await known(records)).decoded_at
    assert decoded is not None

    assert await records.reopen_split("a", 1, [5])
    again = await claimed(records)
    assert await records.count_try(again)
    assert await records.end_split(again, facts(3))
    assert await records.advance("a", 1, "predictable")
    after = await known(records)
    assert (after.decoding_at, after.decoded_at) == (begun, decoded)
    assert after.detected_at is not None
    assert begun <= decoded <= after.detected_at

    await records.accept(asked("a", "retry", attempt=2))
    anew = await known(records)
    assert (anew.decoding_at, anew.decoded_at, anew.detected_at) == (None, None, None)


async def test_those_that_nobody_has_opened_wait_in_the_order_of_their_acceptance(
    records: RunnerRecords,
) -> None:
    for video_id in ("a", "b", "c", "d"):
        await records.accept(asked(video_id))
    accepted = [(await known(records, each)).created_at for each in ("a", "b", "c", "d")]
    assert await records.unopened() == sorted(accepted)
    await records.count_try(await claimed(records, "a"))
    await claimed(records, "b")
    await records.withdraw(asked("c", "delete"), "deleted", None)
    assert await records.unopened() == accepted[3:]
