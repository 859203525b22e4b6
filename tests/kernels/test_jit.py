"""The compiler options, as far as they can go wrong."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import fastadagrad
from fastadagrad.kernels import jit

CLOSURES = """
import sys
from fastadagrad.kernels.jit import compiled, jitable

def make_adder(n):
    @jitable
    def add(x):  # too long to be inlined, so that the linker has to find it
        LINES
        return x + n

    @compiled
    def add_thrice(x):
        return add(x) + add(x + 1) + add(x + 2)

    return add_thrice

print(*(make_adder(int(n))(100) for n in sys.argv[1:]))
""".replace("LINES", "\n        ".join(["x = (x ^ (x << 1)) // 3 - x % 7 if x > 1000 else x"] * 60))


def test_kernels_cached_by_different_processes_are_not_mixed_up(tmp_path):
    script = tmp_path / "closures.py"
    script.write_text(CLOSURES)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}

    def run(*arguments):
        command = [sys.executable, script, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()

    assert run("1") == ["306"]
    assert run("2") == ["309"]
    assert run("1", "2") == ["306", "309"]


LOSS = """
import numpy as np
from fastadagrad.kernels.linear.losses import LOSSES
from fastadagrad.kernels.linear.scoring import mean_loss
from fastadagrad.kernels.linear.switch import Chosen
print(mean_loss(Chosen(LOSSES["squared"].number, 0.0), np.ones(1), -np.ones(1)))
"""


def test_an_edit_of_what_a_kernel_calls_is_not_missed(tmp_path):
    """The loss stands in another file than the compiled function that calls it."""
    package = Path(fastadagrad.__file__).parent
    copy = tmp_path / "fastadagrad"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    if not (copy / "kernels").is_dir():
        shutil.copytree(Path(jit.__file__).parent, copy / "kernels", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}

    def run():
        command = [sys.executable, "-c", LOSS]
        process = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
        return float(process.stdout)

    assert run() == 2.0
    losses = copy / "kernels" / "linear" / "losses.py"
    losses.write_text(losses.read_text().replace("0.5 * error * error", "5.0 * error * error"))
    assert run() == 20.0
