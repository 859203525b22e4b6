"""Steps by several processes, for which threads stand in: the bits of one process with the sum of their gradients."""

import numpy as np
import pytest
from in_step import run

import fastadagrad as fa
from fastadagrad.kernels.rules import trait
from fastadagrad.optimizer.building import METHODS
from fastadagrad.optimizer.second_order import SecondOrder

SHAPES = {"a": (3, 5), "table": (1500, 16), "vector": (9001,), "scalar": ()}
START = {name: np.random.default_rng(0).standard_normal(shape) for name, shape in SHAPES.items()}
STEPS = 4
OPTIONS = {
    "momentum": ("adagrad", {"momentum": 0.9, "nesterov": True}),
    "global norm": ("adagrad", {"max_global_norm": 0.5}),
    "norm of each": ("adagrad", {"max_gradient_norm": 0.5}),
    "decay": ("adagrad", {"decoupled_weight_decay": 0.01}),
    "l1": ("adagrad", {"l1": 1e-3}),
    "all rows move": ("adagrad", {"decoupled_weight_decay": 0.01, "lazy": "dense"}),
    "row": ("adagrad", {"accumulator": "row", "groups": {"scalar": {"accumulator": "element"}}}),
    "tensor": ("adagrad", {"accumulator": "tensor"}),
    "frozen": ("adagrad", {"groups": {"vector": {"frozen": True}}}),
    "scheduled": ("adagrad", {"learning_rate": lambda t: 0.1 / (1 + t)}),
}
CASES = {**{name: (name, {}) for name in METHODS if METHODS[name].__module__.startswith("fastadagrad")}, **OPTIONS}


def gradients_of(rank, t, dtype, sparse):
    rng = np.random.default_rng([rank, t])
    found = {name: np.array(rng.standard_normal(shape), dtype) for name, shape in SHAPES.items()}
    if sparse:
        found["table"] = fa.Rows(rng.integers(0, 1500, 40), rng.standard_normal((40, 16)).astype(dtype))
    return found


def added(parts):
    """The gradients of all processes in one, added up in the order of the processes."""
    first, *others = parts
    if isinstance(first, fa.Rows):
        return fa.Rows(np.concatenate([p.indices for p in parts]), np.concatenate([p.values for p in parts]))
    total = first.copy()
    for part in others:
        total += part
    return total


def trained(size, sparse, method, hyper, dtype, comm=None):
    """Parameters after some steps, and how many bytes of state the process has."""
    params = {name: np.array(array, dtype) for name, array in START.items()}
    if comm is not None and comm.rank:
        for array in params.values():
            array[...] = np.nan  # the parameters of process 0 are what all begin with
    among = {} if comm is None else {"comm": comm, "reduction": "sum"}
    fed = issubclass(METHODS[method], SecondOrder)
    opt = fa.build(method, params=params, **among, **({"averaged": True} if fed else {}), **hyper)
    for t in range(STEPS):
        of_all = [gradients_of(rank, t, dtype, sparse) for rank in range(size)]
        own = {n: added([g[n] for g in of_all]) for n in SHAPES} if comm is None else of_all[comm.rank]
        opt.step(own, *([{n: np.array(own[n]) for n in SHAPES}] if fed else ()))
    if sparse:
        wanted = np.random.default_rng(size).integers(0, 1500, 100)
        found = opt.read_rows("table", wanted)
        opt.flush()
        np.testing.assert_array_equal(found, params["table"][wanted])
    return params, sum(slot.nbytes for slots in opt.state.values() for slot in slots.values())


def same_bits(size, sparse, method, hyper, dtype):
    alone, state = trained(size, sparse, method, hyper, dtype)
    together = run(size, lambda comm: trained(size, sparse, method, hyper, dtype, comm))
    for params, _ in together:
        assert {n: a.tobytes() for n, a in params.items()} == {n: a.tobytes() for n, a in alone.items()}
    return state, [own for _, own in together]


@pytest.mark.parametrize("case", CASES)
def test_dense(case):
    state, parts = same_bits(3, False, *CASES[case], np.float32)
    assert sum(parts) == state or case == "tensor"  # of whose single numbers each process has one


def takes_rows(case):
    method, hyper = CASES[case]
    return not issubclass(METHODS[method], SecondOrder) and hyper.get("lazy") != "dense"


@pytest.mark.parametrize("case", [case for case in CASES if takes_rows(case)])
def test_rows(case):
    method, hyper = CASES[case]
    hyper = dict(hyper)
    if trait(METHODS[method].rule, "measured"):
        hyper["lazy"] = "dense"
    elif case in METHODS:
        hyper["lazy"] = "touched"
    same_bits(3, True, method, hyper, np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 4, 7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", ["adagrad", "adam", "dog", "dadapt_adagrad", "ftrl", *OPTIONS])
def test_any_number_of_processes(case, dtype, size):
    same_bits(size, False, *CASES[case], dtype)
    if takes_rows(case) and not trait(METHODS[CASES[case][0]].rule, "measured"):
        method, hyper = CASES[case]
        same_bits(size, True, method, {"lazy": "touched"} | hyper, dtype)


def test_means_are_sums_divided_by_the_number_of_processes():
    def mean(comm):
        w, table = np.zeros(5000), np.zeros((10, 3))
        opt = fa.SGD(params=[w, table], learning_rate=1.0, comm=comm)
        opt.step([np.full(5000, float(comm.rank)), fa.Rows(np.array([comm.rank, 9]), np.ones((2, 3)))])
        opt.flush()
        return w, table

    for w, table in run(4, mean):
        assert (w == -1.5).all()
        assert table[:, 0].tolist() == [-0.25] * 4 + [0.0] * 5 + [-1.0]


def test_a_part_of_the_state_is_that_of_a_part_of_the_parameters():
    def state(comm):
        opt = fa.ADAGRAD(params=np.zeros(1_000_000, np.float32), comm=comm)
        opt.step(np.ones(1_000_000, np.float32))
        return opt.state["param0"]["accumulator"].nbytes

    assert max(run(4, state)) <= 0.27 * 4_000_000


def test_an_update_of_one_parameter():
    def updated(comm):
        params = {"a": np.zeros(9000), "b": np.ones(2)}
        opt = fa.SGD(params=params, learning_rate=1.0, **({} if comm is None else {"comm": comm}))
        updates = dict(opt.get_updates())
        updates["a"](np.arange(9000.0))
        return params["a"].tolist()

    assert {tuple(found) for found in run(3, updated)} == {tuple(updated(None))}
