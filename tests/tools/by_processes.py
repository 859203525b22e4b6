"""Training by several processes, and by one with the sum of their gradients, for tests that compare the two.

``mpiexec -n 3 python tests/tools/by_processes.py`` prints, in each process, a line of JSON with digests of the
parameters after some steps of each case, dense and by rows; with ``--at-once``, as so many processes do it that
gradients do not go in pieces.
"""

import hashlib
import json
import sys

import numpy as np

import fastadagrad as fa
from fastadagrad.kernels.rules import trait
from fastadagrad.mpi import cost
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


def optimizer_of(method, hyper, dtype, comm=None):
    """An optimizer, and the arrays that are its parameters."""
    params = {name: np.array(array, dtype) for name, array in START.items()}
    if comm is not None and comm.rank:
        for array in params.values():
            array[...] = np.nan  # the parameters of process 0 are what all begin with
    among = {} if comm is None else {"comm": comm, "reduction": "sum"}
    averaged = {"averaged": True} if issubclass(METHODS[method], SecondOrder) else {}
    return fa.build(method, params=params, **among, **averaged, **hyper), params


def stepped(opt, steps, size, dtype, sparse, comm=None, of_one=False):
    """Step with the gradients of so many processes: each has its own or, if all are `of_one`, the first has the sum."""
    for t in steps:
        of_all = [gradients_of(rank, t, dtype, sparse) for rank in range(size)]
        total = {n: added([g[n] for g in of_all]) for n in SHAPES}
        own = total if comm is None or of_one else of_all[comm.rank]
        if of_one and comm.rank:
            own = {name: nothing_of(gradient) for name, gradient in total.items()}
        opt.step(own, *([{n: np.array(own[n]) for n in SHAPES}] if isinstance(opt, SecondOrder) else ()))


def nothing_of(gradient):
    """A gradient of the same kind that adds nothing."""
    if isinstance(gradient, fa.Rows):
        return fa.Rows(gradient.indices[:0], gradient.values[:0])
    return np.zeros_like(gradient)


def trained(size, sparse, method, hyper, dtype, comm=None):
    """Parameters after some steps, and how many bytes of state the process has."""
    opt, params = optimizer_of(method, hyper, dtype, comm)
    stepped(opt, range(STEPS), size, dtype, sparse, comm)
    if sparse:
        wanted = np.random.default_rng(size).integers(0, 1500, 100)
        found = opt.read_rows("table", wanted)
        opt.flush()
        np.testing.assert_array_equal(found, params["table"][wanted])
    return params, sum(slot.nbytes for slots in opt.state.values() for slot in slots.values())


def takes_rows(case):
    method, hyper = CASES[case]
    return not issubclass(METHODS[method], SecondOrder) and hyper.get("lazy") != "dense"


def for_rows(case):
    """Method and hyperparameters of a case with gradients by rows: where no closed form spans steps, none is needed."""
    method, hyper = CASES[case]
    if trait(METHODS[method].rule, "measured"):
        return method, {**hyper, "lazy": "dense"}
    return method, {"lazy": "touched", **hyper} if case in METHODS else hyper


def digest(params):
    return hashlib.sha256(b"".join(params[name].tobytes() for name in SHAPES)).hexdigest()


def digests(size, comm=None):
    """For each case the digest of parameters after dense steps and, if it takes them, after steps by rows."""
    found = {}
    for case in CASES:
        found[case] = [digest(trained(size, False, *CASES[case], np.float32, comm)[0])]
        if takes_rows(case):
            found[case].append(digest(trained(size, True, *for_rows(case), np.float32, comm)[0]))
    return found


if __name__ == "__main__":
    from mpi4py import MPI

    if sys.argv[1:] == ["--at-once"]:  # as many processes do
        cost.MOST_IN_PIECES = 1
    world = MPI.COMM_WORLD
    sys.stdout.write(json.dumps({"rank": world.rank, "digests": digests(world.size, world)}) + "\n")
