"""The examples find what they look for."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name):
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]()


def test_rosenbrock():
    for value, distance, steps in run("rosenbrock").values():
        assert value < 1e-20
        assert distance < 1e-9
        assert steps <= 5000


def test_matrix_factorization():
    opt, before, after, y = run("matrix_factorization")
    assert set(after) == {"loss", "err", "|u|<0.1", "|v|<0.1", "grad(u)", "grad(v)"}
    singular = np.linalg.svd(y, compute_uv=False)
    least = (singular[3:] ** 2).sum() / y.size  # of any product of this rank
    assert least < after["err"] < 2 * least
    assert after["loss"] < 0.25 * before["loss"]
    assert after["grad(v)"] < 1e-4 * before["grad(v)"]
    assert after["|u|<0.1"] > before["|u|<0.1"]  # sparse, as |u| is penalised
    assert opt.best.monitors == after
    assert opt.stopped_because == "patience"


def test_digits_network():
    pytest.importorskip("autograd")
    pytest.importorskip("sklearn")
    accuracy, opt = run("digits_network")
    assert accuracy > 0.95
    assert opt.history[-1].train["accuracy"] > 0.99
    assert opt.best.loss == min(epoch.valid["loss"] for epoch in opt.history)


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.py")))
def test_example_runs_as_a_script(name):
    done = subprocess.run([sys.executable, EXAMPLES / f"{name}.py"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) >= 1
