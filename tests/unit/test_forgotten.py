"""A message that lies there although nobody has anything to do is found out; no other is."""

from app.clients.kafka.broker import Partition
from app.streaming.forgotten import AFTER, Forgotten

ONE, OTHER = Partition("video_splits", 0), Partition("video_splits", 1)
NOBODY: frozenset[str] = frozenset()


def test_a_message_that_nobody_takes_is_forgotten_after_a_while() -> None:
    looks = Forgotten()
    unread, ends = {ONE: 3, OTHER: 5}, {ONE: 4, OTHER: 5}

    assert looks.look(0.0, unread=unread, ends=ends, busy=NOBODY) == []
    assert looks.look(AFTER - 1, unread=unread, ends=ends, busy=NOBODY) == []
    assert looks.look(AFTER, unread=unread, ends=ends, busy=NOBODY) == [ONE]


def test_a_message_behind_one_that_was_read_meanwhile_waits_anew() -> None:
    looks = Forgotten()

    looks.look(0.0, unread={ONE: 3}, ends={ONE: 9}, busy=NOBODY)

    assert looks.look(AFTER, unread={ONE: 4}, ends={ONE: 9}, busy=NOBODY) == []
    assert looks.look(2 * AFTER, unread={ONE: 4}, ends={ONE: 9}, busy=NOBODY) == [ONE]


def test_a_message_whose_agent_is_busy_is_not_forgotten() -> None:
    looks = Forgotten()

    for now in (0.0, AFTER, 2 * AFTER):
        assert looks.look(now, unread={ONE: 3}, ends={ONE: 4}, busy={"video_splits"}) == []


def test_the_clock_starts_again_after_the_agent_was_busy_or_the_partition_elsewhere() -> None:
    for kwargs in ({"busy": {"video_splits"}, "unread": {ONE: 3}}, {"busy": NOBODY, "unread": {}}):
        looks = Forgotten()
        looks.look(0.0, unread={ONE: 3}, ends={ONE: 4}, busy=NOBODY)
        looks.look(AFTER - 1, ends={ONE: 4}, **kwargs)

        assert looks.look(AFTER, unread={ONE: 3}, ends={ONE: 4}, busy=NOBODY) == []
