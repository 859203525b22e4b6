"""How long a new process takes until it has made its first step."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

from race import OURS, NewRace

FIRST_STEP = """
import numpy
import fastadagrad

p = numpy.ones(10)
fastadagrad.ADAGRAD(params=p, learning_rate=0.5).step(numpy.ones(10))
assert numpy.allclose(p, 0.5)
"""
NUMBA, PYTHON = "import numba", "python alone"


def process(code: str, cache: Path) -> Callable[[], object]:
    """A function that runs code in a new process, compiled code being kept in `cache`."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # numba's own bytecode has been written too
    return lambda: subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_start_with_a_warm_cache(new_race: NewRace, quick: bool, tmp_path: Path) -> None:
    race = new_race("start: import and a first step, compiled before")
    race.add(OURS, process(FIRST_STEP, tmp_path))
    race.add(NUMBA, process("import numba", tmp_path))
    race.add(PYTHON, process("", tmp_path))
    race.run(rounds=3 if quick else 15)
    race.at_most(2, of=NUMBA, net_of=PYTHON)


def test_start_for_the_first_time(new_race: NewRace, quick: bool, tmp_path: Path) -> None:
    race = new_race("start: import and a first step, compiling")
    folders = (tmp_path / str(i) for i in count())
    race.add(OURS, lambda step: step(), prepare=lambda: (process(FIRST_STEP, next(folders)),))
    race.run(rounds=1 if quick else 3)
    race.within(10)
