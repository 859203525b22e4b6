"""Indices that another thread writes to after they have been checked: nothing outside of the table is reached."""

import numpy as np
import pytest
from numba import njit
from sparse import set_thresholds

import fastadagrad as fa
from fastadagrad.host import distinct_rows, launch, sparse_gradients
from fastadagrad.kernels.cpu.coalesce import _mark

ROWS = 500
WRONG = [ROWS, ROWS + 3, -1, -40, 1 << 40, -(1 << 62)]
CASES = {
    "plain": ({}, 3),
    "one element a row": ({}, 1),
    "rows that lag": ({"momentum": 0.5}, 3),
    "rows that lag, with marks": ({"l1": 0.01, "learning_rate": lambda t: 0.1 / (t + 1)}, 2),
    "an accumulator a row": ({"accumulator": "row"}, 3),
    "one accumulator": ({"accumulator": "tensor"}, 3),
    "clipped": ({"max_gradient_norm": 1.0}, 3),
    "clipped, with decay": ({"max_global_norm": 1.0, "weight_decay": 0.1, "lazy": "touched"}, 3),
    "made dense": ({"momentum": 0.5, "lazy": "dense"}, 3),
}


@pytest.fixture
def after_the_check(monkeypatch):
    """A list of functions that are called when indices have just been checked, as another thread might be scheduled."""
    functions, original = [], launch.launch

    def launched(pair, *arguments):
        found = original(pair, *arguments)
        if pair is sparse_gradients.inspect:
            for function in functions:
                function()
        return found

    for module in (sparse_gradients, distinct_rows):
        monkeypatch.setattr(module, "launch", launched)
    return functions


def guarded(shape):
    """A table in the midst of memory that is to stay as it is: before, table, behind."""
    memory = np.full((3, *shape), 7.0)
    memory[1] = 0
    return memory


@pytest.mark.parametrize("order", ["ascending", "distinct", "repeated", "said to be unique"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("threaded", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["serial", "threaded"])
def test_only_the_table_is_written(case, order, threaded, after_the_check, monkeypatch):
    if threaded:
        set_thresholds(monkeypatch)
    hyper, width = CASES[case]
    memory = guarded((ROWS, width))
    opt = fa.ADAGRAD(params=memory[1], **{"learning_rate": 0.1, **hyper})
    indices = np.arange(3, 403)
    if order != "ascending":
        indices[:] = indices[::-1].copy()
    if order == "repeated":
        indices[200:] = indices[:200]
    good, values = indices.copy(), np.ones((400, width))
    step = fa.Rows(indices, values, assume_unique=order == "said to be unique")
    opt.step(step)
    for wrong in WRONG:

        def change(wrong=wrong):
            indices[[0, 137, 399]] = wrong

        after_the_check[:] = [change]
        try:
            opt.step(step)
        except IndexError:  # where NumPy looks once more
            assert case == "made dense"
        after_the_check.clear()
        indices[:] = good
        assert (memory[[0, 2]] == 7).all()
    opt.flush()
    opt.step(step)
    assert (memory[[0, 2]] == 7).all()
    assert np.isfinite(memory[1]).all()
    assert memory[1].any()


def test_rows_that_are_read(after_the_check):
    memory = guarded((ROWS, 3))
    opt = fa.ADAGRAD(params=memory[1], learning_rate=0.1, momentum=0.5)
    indices = np.arange(10)
    opt.step(fa.Rows(indices.copy(), np.ones((10, 3))))
    opt.step(fa.Rows(np.array([400]), np.ones((1, 3))))
    after_the_check.append(lambda: indices.__setitem__(4, 1 << 40))
    with pytest.raises(IndexError):
        opt.read_rows("param0", indices)
    assert (memory[[0, 2]] == 7).all()


def test_bits_of_rows_that_changed_are_not_set_outside():
    """The search for repeated indices reads them once more, after it has looked whether they are rows."""
    mark = njit(lambda indices, seen: _mark(indices, seen))
    memory = np.zeros((3, 4), np.uint64)
    mark(np.array([0, 255, 256, 5000, -1, 1 << 40]), memory[1])
    assert not memory[[0, 2]].any()
    assert memory[1].any()
