"""A run of faults is decided by its seed alone."""

from tests.faults.plan import LONGEST_DELAY, make_plan

FAULTS = ("kill-api", "kill-runner", "freeze-kafka", "commit-gather.rows")
CLIPS = ("short-1", "short-2", "long", "corrupt")

FIRST = ("freeze-kafka", 4.55, 3896547401)


def test_the_same_seed_gives_the_same_plan_whatever_order_the_catalog_has() -> None:
    plan = make_plan(7, rounds=3, faults=FAULTS, clips=CLIPS)

    assert plan == make_plan(7, rounds=3, faults=FAULTS[::-1], clips=CLIPS[::-1])
    assert plan != make_plan(8, rounds=3, faults=FAULTS, clips=CLIPS)


def test_the_plan_of_a_seed_is_the_same_on_every_machine() -> None:
    first = make_plan(1, rounds=1, faults=FAULTS, clips=CLIPS)[0]

    assert (first.fault, first.delay, first.seed) == FIRST


def test_each_round_holds_every_fault_once_and_each_step_every_clip_once() -> None:
    plan = make_plan(1, rounds=2, faults=FAULTS, clips=CLIPS)

    assert [step.number for step in plan] == list(range(1, 9))
    for round_ in (plan[:4], plan[4:]):
        assert sorted(step.fault for step in round_) == sorted(FAULTS)
    assert all(sorted(step.clips) == sorted(CLIPS) for step in plan)
    assert all(0 <= step.delay <= LONGEST_DELAY for step in plan)


def test_a_fault_draws_the_same_alone_as_among_others() -> None:
    among = next(
        step for step in make_plan(5, rounds=1, faults=FAULTS, clips=CLIPS) if step.fault == "kill-api"
    )
    alone = make_plan(5, rounds=1, faults=["kill-api"], clips=CLIPS)[0]

    assert (alone.delay, alone.seed, alone.clips) == (among.delay, among.seed, among.clips)
