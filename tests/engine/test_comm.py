"""Sums over the parameters of several processes: threads stand in for these, each with an optimizer of its own."""

import threading

import numpy as np
import pytest

import fastadagrad as fa
from fastadagrad.engine.comm import ALONE

RNG = np.random.default_rng(6)
SHAPES = {"a": (7, 3), "b": (4097,), "c": (2,)}
START = {name: RNG.standard_normal(shape) for name, shape in SHAPES.items()}
GRADIENTS = [{name: RNG.standard_normal(shape) for name, shape in SHAPES.items()} for _ in range(5)]


class Together:
    """One of several that wait for the parts of all and add them in the order of the ranks."""

    def __init__(self, rank, barrier, boards):
        self.rank, self.barrier, self.boards = rank, barrier, boards

    def totals(self, parts, width):
        self.boards[self.rank] = [*parts]
        self.barrier.wait(60)
        sums = ALONE.totals([part for own in self.boards for part in own], width)
        self.barrier.wait(60)
        return sums


def train(names, comm, method, hyper):
    params = {name: START[name].copy() for name in names}
    opt = fa.build(method, params=params, **hyper)
    opt._session.engine.comm = comm
    for gradients in GRADIENTS:
        opt.step({name: gradients[name] for name in names})
    return params


@pytest.mark.parametrize(
    ("method", "hyper"),
    [
        ("adagrad", {"learning_rate": 0.1, "max_global_norm": 0.5}),
        ("adam", {"learning_rate": 0.1, "max_global_norm": 0.5}),
        ("dog", {}),
        ("dowg", {}),
        ("dadapt_adagrad", {}),
    ],
)
@pytest.mark.parametrize("shares", [(["a", "b"], ["c"]), (["a"], ["b", "c"]), (["a"], ["b"], ["c"])])
def test_bits_do_not_depend_on_who_has_which_parameters(method, hyper, shares):
    barrier, boards, found = threading.Barrier(len(shares)), [[] for _ in shares], {}

    def work(rank):
        found.update(train(shares[rank], Together(rank, barrier, boards), method, hyper))

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(len(shares))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = train(list(SHAPES), ALONE, method, hyper)
    assert {name: a.tobytes() for name, a in found.items()} == {name: a.tobytes() for name, a in alone.items()}


def test_sums_of_no_parameters():
    assert ALONE.totals([], 2) == [0.0, 0.0]
