"""How often steps with row-sparse gradients call CUDA's driver, and what for."""

from contextlib import nullcontext

import numpy as np
import pytest
import stand_in

import fastadagrad as fa

# Of a table of 70,000 rows: all calls, launches, and waits, by whether each row is there once.
WORK = {True: (6, 3, 1), False: (11, 7, 1)}
OF_NEW_OBJECTS = 2  # more, which say on which GPU their memory is
WITHOUT_CONTEXT = 2  # more in a thread in which the GPU is not the current one


@pytest.fixture
def driver(monkeypatch):
    with stand_in.installed(monkeypatch) as found:
        yield found


@pytest.fixture
def called(driver, monkeypatch):
    """The names of all functions that are called, one after the other."""
    found = []

    def noting(name):
        function = getattr(stand_in.cuda, name)

        def call(*arguments):
            found.append(name)
            return function(*arguments)

        return call

    for name in [name for name in dir(driver) if name.startswith("cu")]:
        monkeypatch.setattr(stand_in.cuda, name, noting(name))
    return found


@pytest.mark.parametrize("unique", [True, False], ids=["unique", "repeated"])
@pytest.mark.parametrize("new", [False, True], ids=["the same objects", "new objects"])
@pytest.mark.parametrize("current", [True, False], ids=["current", "not current"])
def test_calls_of_a_step(driver, called, new, unique, current):
    gpu, rng, n = driver.gpus[0], np.random.default_rng(0), 40
    table = gpu.array(rng.standard_normal((70_000, 4)).astype(np.float32))
    opt = fa.ADAGRAD(params=table, learning_rate=0.1)

    def rows():
        indices = rng.permutation(len(rng.integers(0, 9, n))) if unique else rng.integers(0, 9, n)
        values = rng.standard_normal((n, 4)).astype(np.float32)
        return fa.Rows(gpu.array(indices), gpu.array(values), assume_unique=unique)

    given = rows()
    with driver.used_by_another_library(0) if current else nullcontext():
        for _ in range(3):
            given = rows() if new else given
            called.clear()
            opt.step(given)
    calls, *others = WORK[unique]
    assert len(called) == calls + OF_NEW_OBJECTS * new + WITHOUT_CONTEXT * (not current)
    assert [called.count(name) for name in ("cuLaunchKernel", "cuStreamSynchronize")] == others
