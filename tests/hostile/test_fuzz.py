"""Twenty seconds of the fuzzer: whatever a file holds, only the child that decodes it may die."""

import os
import random
from itertools import islice
from pathlib import Path

import pytest

from app.decoding.process import open_decoding_pool
from app.domain.failures import SENTENCES
from tests.hostile.fuzz import SETTINGS, fuzz, mutants, write_seeds
from tests.hostile.verdicts import judge
from tests.support.clips import write_clip

SECONDS = 20.0


@pytest.mark.timeout(180)
async def test_damaged_videos_end_with_frames_or_with_a_code(tmp_path: Path) -> None:
    verdicts = await fuzz(seconds=SECONDS, seed=random.SystemRandom().randrange(1 << 30), kept=tmp_path)
    assert len(verdicts) > 20
    unknown = {each.outcome for each in verdicts} - SENTENCES.keys()
    assert all(" frames" in outcome for outcome in unknown), unknown
    assert max(each.seconds for each in verdicts) < SETTINGS.decoder_wall.total_seconds()
    async with open_decoding_pool(SETTINGS) as pool:
        assert (await judge(pool, write_clip(tmp_path / "clip.mp4"))).outcome == "32 frames"


def test_the_same_seed_makes_the_same_files(tmp_path: Path) -> None:
    seeds = [path.read_bytes() for path in write_seeds(tmp_path)]
    assert len(seeds) >= 20
    some, same, others = (list(islice(mutants(seed, seeds), 30)) for seed in (1, 1, 2))
    assert some == same
    assert some != others


def test_writing_the_seeds_leaves_our_priority_alone(tmp_path: Path) -> None:
    before = os.sched_getscheduler(0)
    assert write_seeds(tmp_path)
    assert os.sched_getscheduler(0) == before
