"""Cases of `digests`: optimizers that are made, stepped and read through public names alone.

A case is a name and a function that returns arrays, or raises what the library refuses. Its numbers come from integers,
so that no library's random numbers, sums or functions have a share in them.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import lru_cache, partial
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from numba import njit

import fastadagrad as fa
from fastadagrad.kernels import rules

STEPS = 30
RATE = 0.05
Arrays = dict[str, Any]


class Case(NamedTuple):
    name: str
    run: Callable[[], Arrays]


def bits(shape: Sequence[int], seed: int) -> np.ndarray:
    """Integers of 64 bits that look random: splitmix64 of their positions."""
    x = np.arange(int(np.prod(shape, dtype=int)), dtype=np.uint64) + np.uint64(seed * 1_000_003 + 1)
    x *= np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return (x ^ (x >> np.uint64(31))).reshape(shape)


@lru_cache(maxsize=8192)
def numbers(shape: tuple[int, ...], seed: int, dtype: Any) -> np.ndarray:
    """Numbers of both signs over six orders of magnitude, a few of them 0: exact in float32."""
    x = bits(shape, seed)
    mantissa = (x >> np.uint64(44)).astype(np.float64) - 2.0**19
    exponent = (x % np.uint64(20)).astype(np.int64) - 28
    return np.where(x % np.uint64(23) == 0, 0.0, np.ldexp(mantissa, exponent)).astype(dtype)


def decaying(t: int) -> float:
    return RATE / (1 + t // 3)


# Options of all methods. Whichever a method refuses is noted as refused.
OPTIONS: dict[str, dict[str, Any]] = {
    "as it comes": {"learning_rate": None},
    "rate": {},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "weight_decay": {"weight_decay": 0.1},
    "decoupled": {"decoupled_weight_decay": 0.1},
    "momentum, weight_decay": {"momentum": 0.9, "weight_decay": 0.1},
    "nesterov, decoupled": {"momentum": 0.9, "nesterov": True, "decoupled_weight_decay": 0.1},
    "l1": {"l1": 0.01},
    "l2": {"l2": 0.02},
    "l1 and l2": {"l1": 0.01, "l2": 0.02},
    "l1, decoupled": {"l1": 0.01, "decoupled_weight_decay": 0.1},
    "clipped elements": {"max_gradient_elem": 0.3},
    "clipped norms": {"max_gradient_norm": 0.5},
    "clipped global norm": {"max_global_norm": 0.5},
    "row": {"accumulator": "row"},
    "row, momentum": {"accumulator": "row", "momentum": 0.9},
    "row, l1, clipped norms": {"accumulator": "row", "l1": 0.01, "max_gradient_norm": 0.5},
    "tensor": {"accumulator": "tensor"},
    "tensor, nesterov": {"accumulator": "tensor", "momentum": 0.9, "nesterov": True},
    "tensor, l2, weight_decay": {"accumulator": "tensor", "l2": 0.02, "weight_decay": 0.1},
    "lr_decay": {"lr_decay": 0.1},
    "schedule": {"learning_rate": decaying},
    "schedule, momentum": {"learning_rate": decaying, "momentum": 0.9},
    "schedule, l1": {"learning_rate": decaying, "l1": 0.01},
    "not watchful": {"nonfinite": "ignore"},
}
FEW = ("as it comes", "rate", "momentum", "nesterov", "weight_decay")
ROW_KINDS = ("row", "tensor", "row, momentum", "tensor, nesterov")
# Values of own hyperparameters for which half of the default, plus an eighth, is of no use.
OWN_VALUES = {"rprop_increase": 1.5}


def methods() -> list[str]:
    """Names of the library's methods: one module of rules each."""
    found = (module.name for module in pkgutil.iter_modules(rules.__path__))
    return sorted(name for name in found if not name.startswith("_"))


def own_options(method: str) -> dict[str, dict[str, Any]]:
    """Each of a method's own hyperparameters, with another value than its default."""
    own = import_module(f"{rules.__name__}.{method}").Hyperparameters
    found = {}
    for field in fields(own):
        other = not field.default if isinstance(field.default, bool) else field.default / 2 + 0.125
        found[f"own {field.name}"] = {field.name: OWN_VALUES.get(field.name, other)}
    return found


def is_fed(method: str) -> bool:
    """Whether a step takes Hessian-vector products beside gradients."""
    return hasattr(type(fa.build(method, params=np.zeros(1))), "draw_vectors")


def made(method: str, params: Any, option: Mapping[str, Any], **more: Any) -> Any:
    hyper = {"learning_rate": RATE, **option, **more}
    return fa.build(method, params=params, **{name: x for name, x in hyper.items() if x is not None})


def results_of(opt: Any) -> Arrays:
    """All that steps have made of an optimizer."""
    found = {f"state {name} {slot}": x for name, slots in opt.state.items() for slot, x in slots.items()}
    found |= {f"parameter {name}": x for name, x in opt.params.items()}
    found |= {f"learned {name}": np.float64(x) for name, x in opt.learned.items()}
    return {**found, "counts": np.array([opt.steps, opt.skipped])}


def stepped(opt: Any, gradients_at: Callable[[int], dict[str, Any]], fed: bool) -> Arrays:
    for t in range(STEPS):
        gradients = gradients_at(t)
        if fed:
            products = {name: numbers(p.shape, 7 * t + 3, p.dtype) for name, p in opt.params.items()}
            opt.step(gradients, products)
        else:
            opt.step(gradients)
    opt.flush()
    return results_of(opt)


TENSORS = {"scalar": (), "empty": (0,), "vector": (5,), "matrix": (7, 33), "blocks": (4100,)}
LARGE = {"long": ((1 << 17) + 5,), "tall": (1030, 129)}  # from 2**17 elements the work is shared among threads
TABLES = {"narrow": (40, 3), "sixteen": (12, 16), "column": (30, 1), "bias": (5,)}


def params_of(shapes: Mapping[str, tuple[int, ...]], dtype: Any) -> dict[str, np.ndarray]:
    return {name: numbers(shape, 1000 + i, dtype).copy() for i, (name, shape) in enumerate(shapes.items())}


def dense_steps(method: str, dtype: Any, option: Mapping[str, Any], shapes: Mapping[str, Any], **more: Any) -> Arrays:
    if option.get("accumulator") == "row":  # of a scalar there are no rows
        shapes = {name: shape for name, shape in shapes.items() if shape != ()}
    opt = made(method, params_of(shapes, dtype), option, **more)

    def gradients_at(t: int) -> dict[str, Any]:
        return {name: numbers(shape, 10 * t + i, dtype) for i, (name, shape) in enumerate(shapes.items())}

    return stepped(opt, gradients_at, is_fed(method))


def rows_at(shape: tuple[int, ...], t: int, seed: int, dtype: Any) -> Any:
    """Some rows, repeated ones among them, or ascending ones; in every seventh step a dense gradient."""
    if t % 7 == 6:
        return numbers(shape, 50 * t + seed, dtype)
    indices = (bits((6,), 50 * t + seed) % np.uint64(shape[0])).astype([np.int64, np.int32][t % 2])
    if t % 3 == 2:
        indices = np.unique(indices)
    return fa.Rows(indices, numbers((indices.size, *shape[1:]), 50 * t + seed + 7, dtype))


def row_steps(method: str, dtype: Any, option: Mapping[str, Any], lazy: str, **more: Any) -> Arrays:
    opt = made(method, params_of(TABLES, dtype), option, lazy=lazy, **more)

    def gradients_at(t: int) -> dict[str, Any]:
        found = {name: rows_at(shape, t, i, dtype) for i, (name, shape) in enumerate(TABLES.items()) if len(shape) > 1}
        return {**found, "bias": numbers(TABLES["bias"], t, dtype)}

    return stepped(opt, gradients_at, is_fed(method))


def large_row_steps(method: str, dtype: Any, option: Mapping[str, Any]) -> Arrays:
    """So many rows that their step is shared among threads."""
    shape = (9000, 32)
    opt = made(method, params_of({"large": shape}, dtype), option, lazy="touched", threads=2)

    def gradients_at(t: int) -> dict[str, Any]:
        indices = (bits((8500,), t) % np.uint64(shape[0])).astype(np.int64)
        return {"large": fa.Rows(indices, numbers((indices.size, shape[1]), t + 7, dtype))}

    return stepped(opt, gradients_at, is_fed(method))


def matrix_steps(method: str, dtype: Any, option: Mapping[str, Any], form: str, lazy: str) -> Arrays:
    shape = TABLES["narrow"]
    opt = made(method, params_of({"narrow": shape}, dtype), option, lazy=lazy)

    def gradients_at(t: int) -> dict[str, Any]:
        places = np.unique(bits((9,), t) % np.uint64(shape[0] * shape[1])).astype(np.int64)
        matrix = scipy.sparse.coo_array((numbers(places.shape, t, dtype), np.divmod(places, shape[1])), shape)
        return {"narrow": matrix.asformat(form)}

    return stepped(opt, gradients_at, is_fed(method))


def updates_of_each(method: str, dtype: Any, option: Mapping[str, Any]) -> Arrays:
    shapes = {name: shape for name, shape in TENSORS.items() if shape != ()}
    opt = made(method, params_of(shapes, dtype), option)
    updates = dict(opt.get_updates())
    fed = is_fed(method)
    for t in range(STEPS):
        for i, (name, shape) in enumerate(shapes.items()):
            g = numbers(shape, 10 * t + i, dtype)
            updates[name](*((g, numbers(shape, 7 * t + 3, dtype)) if fed else (g,)))
    return results_of(opt)


def nopython_updates(method: str, dtype: Any, option: Mapping[str, Any]) -> Arrays:
    hyper = {"learning_rate": RATE, **option}
    hyper = {name: x for name, x in hyper.items() if x is not None}
    compiled = fa.compiled_update(method, dtype=dtype, ndim=2, **hyper)
    update, threaded = compiled.update, compiled.threaded

    @njit
    def both(p: Any, g: Any, slots: Any, q: Any, others: Any, s: Any) -> None:
        update(p, g, slots, s)
        threaded(q, g, others, s, 3)

    p = numbers((7, 33), 1000, dtype).copy()
    q = p.copy()
    slots, others = compiled.slots(p), compiled.slots(q)
    for t in range(STEPS):
        if is_fed(method):
            slots[1][...] = others[1][...] = numbers(p.shape, 7 * t + 3, dtype)
        both(p, numbers(p.shape, t, dtype), slots, q, others, compiled.scalars(t))
    found = {f"slot {i}": x for i, x in enumerate(slots)} | {f"other slot {i}": x for i, x in enumerate(others)}
    return {"p": p, "q": q, **found}


def pulled(w: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """A loss and its gradient that need no sums over examples of which NumPy chooses the order."""
    return float(abs(w - x[0]).max()), w - x[0] + y[0]


def minimized(method: str, option: Mapping[str, Any]) -> Arrays:
    """Epochs over shuffled batches, with validation, monitors and early stopping."""
    w = numbers((4,), 5, np.float64).copy()
    x, y = numbers((23, 4), 6, np.float64), numbers((23,), 7, np.float64)
    more = {"hv": lambda w, z, x, y: z, "hv_rng": 0} if is_fed(method) else {}
    opt = made(method, w, option, loss=pulled, validate_every=1, patience=2, monitor_gradients=True, **more)
    training = fa.Dataset([x, y], name="training", batch_size=3, rng=1)
    validation = fa.Dataset([x[:9], y[:9]], name="validation", batch_size=2, shuffle=False)
    told = [{**train, **valid} for train, valid in opt.iterate(training, validation, max_epochs=8)]
    counts = np.array([opt.steps, opt.best.epoch, opt.best.steps])
    return {**results_of(opt), "told": np.array([[*each.values()] for each in told]), "best": counts}


DTYPES = {"float32": np.float32, "float64": np.float64}


def cases_of(method: str) -> Iterator[Case]:
    """All cases of a method, those of one dtype together, whose kernels are the same ones."""
    options = {**OPTIONS, **own_options(method)}

    def chosen(*names: str) -> dict[str, dict[str, Any]]:
        return {name: options[name] for name in names}

    few = chosen(*FEW, "clipped norms", "tensor")
    first = method in ("adagrad", "sgd")  # for those that differ from it in the formula alone, less is enough
    for which, dtype in DTYPES.items():
        single = dtype is np.float32
        rows = chosen("rate", "momentum", "weight_decay")
        if single:
            rows = options if first else {name: options[name] for name in options if name not in SHOWN_BY_THE_FIRST}
        groups: list[tuple[str, Mapping[str, Any], Callable[..., Arrays]]] = [
            ("tensors", options, partial(dense_steps, shapes=TENSORS)),
            ("frozen", chosen("rate"), partial(dense_steps, shapes=TENSORS, groups={"vector": {"frozen": True}})),
            ("group", chosen("rate"), partial(dense_steps, shapes=TENSORS, groups={"vector": GROUP})),
            ("rows, exact", rows, partial(row_steps, lazy="exact")),
            ("rows, touched", rows, partial(row_steps, lazy="touched")),
            ("rows, dense", few, partial(row_steps, lazy="dense")),
            *((f"{form}, {lazy}", few, partial(matrix_steps, form=form, lazy=lazy)) for form, lazy in MATRICES),
            ("updates", options if single else few, updates_of_each),
        ]
        if single:
            threaded = chosen(*FEW, "clipped norms", *ROW_KINDS) if first else chosen("rate", "weight_decay")
            groups += [
                ("large, threads", threaded, partial(dense_steps, shapes=LARGE, threads=2)),
                ("large, one thread", chosen("rate"), partial(dense_steps, shapes=LARGE, threads=1)),
                ("large rows, threads", chosen("rate", *(["momentum"] if first else [])), large_row_steps),
                ("nopython", chosen("rate", *(["momentum", "tensor"] if first else [])), nopython_updates),
            ]
        else:
            groups.append(("minimized", chosen("rate", "momentum"), as_double(minimized)))
        for kind, those, steps in groups:
            for name, option in those.items():
                yield Case(f"{method} | {which} | {kind} | {name}", partial(steps, method, dtype, option=option))


SHOWN_BY_THE_FIRST = ("nesterov", "momentum, weight_decay", "nesterov, decoupled", "not watchful")
GROUP = {"learning_rate": 0.5, "weight_decay": 0.1}
MATRICES = [("csr", "exact"), ("csc", "touched"), ("coo", "exact"), ("csr", "dense")]


def as_double(run: Callable[..., Arrays]) -> Callable[..., Arrays]:
    return lambda method, dtype, option: run(method, option)
