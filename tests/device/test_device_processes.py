"""Parameters in GPUs' memory, stepped by several processes, for which threads stand in, with an interpreted GPU each.

No GPU has run this, and no MPI that is CUDA-aware.
"""

from itertools import pairwise

import numpy as np
import pytest
from by_processes import CASES, SHAPES, START, STEPS, added, gradients_of, trained
from gpu import Interpreter
from in_step import InStep, run

import fastadagrad as fa
from fastadagrad.device import backend
from fastadagrad.mpi import shards
from fastadagrad.optimizer.building import METHODS
from fastadagrad.optimizer.second_order import SecondOrder

SIZE = 3
F4 = np.float32


@pytest.fixture
def gpus(monkeypatch):
    """One for each process: whatever is at an address is done by the one that has it in its memory."""
    made = [Interpreter() for _ in range(SIZE)]

    def the_one_at(address):
        [found] = [each for each in made if each.holds(address)]
        return found

    monkeypatch.setattr(backend, "backend_at", the_one_at)
    return made


def trained_on(gpu, method, hyper, comm=None, dtype=F4):
    """Parameters on a GPU after some steps, as NumPy arrays, and the optimizer."""
    params = {name: gpu.array(np.array(array, dtype)) for name, array in START.items()}
    if comm is not None and comm.rank:
        for array in params.values():
            array.set(np.nan)
    among = {} if comm is None else {"comm": comm, "reduction": "sum"}
    averaged = {"averaged": True} if issubclass(METHODS[method], SecondOrder) else {}
    opt = fa.build(method, params=params, **among, **averaged, **hyper)
    for t in range(STEPS):
        of_all = [gradients_of(rank, t, dtype, False) for rank in range(SIZE)]
        own = {n: added([g[n] for g in of_all]) for n in SHAPES} if comm is None else of_all[comm.rank]
        own = {name: gpu.array(g, read_only=True) for name, g in own.items()}
        opt.step(own, *([own] if averaged else ()))
    return {name: array.numpy() for name, array in params.items()}, opt


def bits(arrays):
    return {name: array.tobytes() for name, array in arrays.items()}


def has_the_bits_of_one_process_and_of_the_host(gpus, case, dtype=F4, work=lambda comm: comm):
    on_host, _ = trained(SIZE, False, *CASES[case], dtype)
    alone, _ = trained_on(gpus[0], *CASES[case], dtype=dtype)
    together = run(SIZE, lambda comm: trained_on(gpus[comm.rank], *CASES[case], work(comm), dtype)[0])
    assert bits(alone) == bits(on_host)
    assert [bits(each) for each in together] == [bits(alone)] * SIZE


QUICK = ["adagrad", "adam", "momentum", "global norm", "norm of each", "row", "tensor", "frozen"]


@pytest.mark.parametrize("case", [c if c in QUICK else pytest.param(c, marks=pytest.mark.slow) for c in CASES])
def test_dense(gpus, case):
    has_the_bits_of_one_process_and_of_the_host(gpus, case)
