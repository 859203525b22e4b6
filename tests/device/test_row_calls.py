"""How often steps with row-sparse gradients call CUDA's driver, and what for."""

import threading
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
        indices = rng.permutation(n) if unique else rng.integers(0, 9, n)
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


def test_another_gpu_that_is_current_is_so_afterwards(driver):
    gpu = driver.gpus[0]
    p = gpu.array(np.zeros(4, np.float32))
    opt = fa.ADAGRAD(params=p, learning_rate=0.1)
    with driver.used_by_another_library(1):
        opt.step(gpu.array(np.ones(4, np.float32)))
        assert driver.contexts == [1]
    assert (p.numpy() != 0).all()


@pytest.mark.parametrize("name", ["cuCtxGetCurrent", "cuCtxPushCurrent"])
def test_a_context_that_cannot_be_had_leaves_nothing_locked(driver, monkeypatch, name):
    p, g = (driver.gpus[0].array(np.ones(4, np.float32)) for _ in range(2))
    opt = fa.ADAGRAD(params=p)
    opt.step(g)
    with monkeypatch.context() as patch:
        patch.setattr(stand_in.cuda, name, lambda *arguments: (*stand_in.REFUSED, None))
        with pytest.raises(RuntimeError, match="CUDA"):
            opt.step(g)
    stepping = threading.Thread(target=opt.step, args=[g])
    stepping.start()
    stepping.join(30)
    assert not stepping.is_alive()
    assert opt.steps == 2
    assert not driver.contexts
