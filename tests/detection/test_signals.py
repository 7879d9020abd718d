"""A process that has run a model can be told to stop: no signal is taken on a stack that is gone."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from app.detection.export import load_export
from app.detection.weights import find_weights
from app.settings import Settings

CHECKOUT: Final = Path(__file__).parents[2]

IN_ANOTHER_THREAD: Final = """
thread = threading.Thread(target=models.clear)
thread.start()
thread.join()
"""

IN_THEIR_ORDER: Final = """
models.pop(0)
models.pop(0)
"""

PROCESS: Final = """
import os, signal, sys, threading
from pathlib import Path
from app.detection.graph import Graphs

models = [Graphs(Path(sys.argv[1])) for _ in range(2)]
for model in models:
    model.requests((320, 320))
del model
{forget}
signal.signal(signal.SIGTERM, lambda number, frame: print("told"))
os.kill(os.getpid(), signal.SIGTERM)
print("goes on")
"""


@pytest.mark.parametrize("forget", [IN_ANOTHER_THREAD, IN_THEIR_ORDER], ids=["in a thread", "in their order"])
async def test_a_process_whose_models_are_gone_is_told_of_signals(
    forget: str, tiny_model: Path, settings_for: Callable[[Path], Settings]
) -> None:
    settings = settings_for(tiny_model)
    export = await load_export(await find_weights(settings), settings)
    command = (sys.executable, "-c", PROCESS.format(forget=forget), str(export.graph))
    ended = subprocess.run(  # noqa: ASYNC221 - nothing else runs in this loop
        command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "told\ngoes on\n"), ended.stderr
