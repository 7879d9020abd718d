"""Processor time out of /proc."""

import os
import subprocess
import sys

import pytest

from benchmarks.processor import TICK, Machine, Reading, Times, Usage, parse_machine, parse_stat, usage_of

STAT = "42 (a (b) c) S 7 42 42 0 -1 4194304 9 8 7 6 30 12 5 3 20 0 4 0 1234 5678 90"


def test_a_process_is_read_whatever_it_is_called() -> None:
    assert parse_stat(STAT) == Times(parent=7, own=42 * TICK, reaped=8 * TICK)


def test_the_machine_is_busy_with_everything_but_idling_waiting_and_what_is_stolen() -> None:
    assert parse_machine("cpu  10 20 30 1000 500 1 2 40 6 7\ncpu0 1 2") == Machine(63 * TICK, 40 * TICK)


def test_the_usage_of_a_process_includes_what_its_descendants_use_and_have_used() -> None:
    processes = {
        1: Times(parent=0, own=1000, reaped=1000),
        10: Times(parent=1, own=5, reaped=7),
        11: Times(parent=10, own=11, reaped=0),
        12: Times(parent=11, own=13, reaped=17),
        20: Times(parent=1, own=500, reaped=0),
    }
    assert usage_of(10, processes) == Usage(own=5, children=7 + 11 + 13 + 17)


def test_nothing_is_lost_when_a_child_ends() -> None:
    before = {10: Times(1, own=5, reaped=0), 11: Times(10, own=30, reaped=0)}
    after = {10: Times(1, own=6, reaped=31)}
    assert usage_of(10, after).since(usage_of(10, before)) == Usage(own=1, children=1)


def test_a_process_that_does_not_run_uses_nothing() -> None:
    assert usage_of(10, {}) == Usage(0, 0)


def test_others_keep_busy_what_is_neither_idle_nor_ours() -> None:
    before = Reading(100.0, Machine(5000, 100), {"ours": Usage(50, 0)})
    after = Reading(102.0, Machine(8000, 200), {"ours": Usage(550, 600)})
    assert after.others(before, ["ours"]) == pytest.approx((3000 + 100 - 1100) / 1000 / 2)


def test_others_are_never_less_than_nobody() -> None:
    before = Reading(0.0, Machine(0, 0), {"ours": Usage(0, 0)})
    after = Reading(1.0, Machine(10, 0), {"ours": Usage(20, 0)})
    assert after.others(before, ["ours"]) == 0.0


def test_the_work_of_a_child_that_has_ended_counts_for_its_parent() -> None:
    before = Reading.take({"us": os.getpid()})
    burn = "import time\nwhile time.process_time() < 0.2: pass"
    subprocess.run([sys.executable, "-c", burn], check=True)
    used = Reading.take({"us": os.getpid()}).used(before)["us"]
    assert 200 - TICK <= used.children < 10_000
