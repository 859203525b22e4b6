"""What is timed on a GPU: dense steps, many arrays, and rows of a table, beside a copy, torch and CuPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from clock import Clock, Contender, Time

import fastadagrad as fa
from fastadagrad.device.arrays import DeviceArray, zeros
from fastadagrad.device.backend import Backend

RATE, EPSILON = 1e-3, 1e-8
F4 = np.dtype(np.float32)
COPY = "a copy of as many bytes"
# Rows of the table, elements of each, and rows that a gradient names: several tiles of the sort.
ROWS, QUICK_ROWS = (1_000_000, 64, 65_536), (70_000, 4, 10_000)
# Options, and the bytes that a step moves for each element of float32.
DENSE: dict[str, tuple[dict[str, Any], int]] = {
    "nonfinite='ignore'": ({"nonfinite": "ignore"}, 20),
    "default": ({}, 24),
    "deferred": ({"deferred": True}, 24),
    "momentum, nonfinite='ignore'": ({"nonfinite": "ignore", "momentum": 0.9}, 28),
    "max_global_norm": ({"max_global_norm": 1.0}, 24),
}


class Race(NamedTuple):
    """One table: what is done, who took part, and who did not and why."""

    work: str
    times: list[Time]
    absent: list[str]


class Card:
    """A GPU, and how arrays come to it and back."""

    def __init__(self, backend: Backend, quick: bool) -> None:
        self.backend, self.quick, self.clock = backend, quick, Clock(backend)
        self.absent: list[str] = []

    def zeros(self, *shape: int) -> DeviceArray:
        return zeros(self.backend, [(shape, F4)])[0]

    def put(self, values: Any) -> DeviceArray:
        values = np.ascontiguousarray(values)
        [array] = zeros(self.backend, [(values.shape, values.dtype)])
        self.backend.write(array.address, values)
        self.backend.synchronize()
        return array

    def peer(self, package: str) -> Any:
        """A library that can use the GPU; None if there is none, and the reason is noted."""
        try:
            module = import_module(package)
            if package == "torch" and not module.cuda.is_available():
                raise ImportError("this torch has no CUDA")
            return module
        except ImportError as error:
            self.absent.append(f"{package} takes no part: {error}")
            return None

    def race(self, work: str, contenders: Sequence[Contender], calls: int) -> Race:
        found = self.clock.race(contenders, 1 if self.quick else calls, 1 if self.quick else 9)
        absent, self.absent = self.absent, []
        return Race(work, found, absent)

    def copy(self, size: int) -> Contender:
        """A copy that reads and writes `size` bytes together."""
        half = max(size // 8, 1) * 4
        source, to = self.zeros(half // 4), self.zeros(half // 4)
        return Contender(COPY, lambda: self.backend.copy(to.address, source.address, half), 2 * half)


def require_host(found: DeviceArray, start: Any, gradient: Any, options: dict[str, Any]) -> None:
    """Hold the first step from `start` to that of the host; ValueError if an element differs."""
    expected = start.copy()
    fa.ADAGRAD(params=expected, **options).step(gradient)
    if (found.to_host().view(np.int32) != expected.view(np.int32)).any():
        raise ValueError("the first step is not that of the host")


def dense(card: Card) -> Iterator[Race]:
    for n in (1_000,) if card.quick else (1_000, 1_000_000, 16_000_000, 100_000_000):
        v = np.resize(np.random.default_rng(n).standard_normal(min(n, 1 << 20)).astype(F4), n)
        g, contenders = card.put(v), [card.copy(20 * n)]
        for name, (options, size) in DENSE.items():
            p = card.put(v)
            options = {"learning_rate": RATE, "rms_regularizer": EPSILON, **options}
            opt = fa.ADAGRAD(params=p, **options)
            opt.step(g)
            require_host(p, v, v, options)
            contenders.append(Contender(f"fastadagrad, {name}", _step(opt, g), size * n))
        contenders += [*_torch(card, [v]), *_cupy(card, v)]
        yield card.race(f"one array of {n:,}", contenders, max(10, min(300, 150_000_000 // n)))


def many(card: Card) -> Iterator[Race]:
    for count, n in ((3, 64),) if card.quick else ((10, 64), (1000, 64), (1000, 10_000), (200, 500_000)):
        values = [np.random.default_rng(i).standard_normal(n).astype(F4) for i in range(count)]
        size, contenders = count * n, [card.copy(20 * count * n)]
        for name in ("nonfinite='ignore'", "default", "deferred"):
            options, each = DENSE[name]
            params, gradients = [card.put(v) for v in values], [card.put(v) for v in values]
            opt = fa.ADAGRAD(params=params, learning_rate=RATE, rms_regularizer=EPSILON, **options)
            opt.step(gradients)
            contenders.append(Contender(f"fastadagrad, {name}", _step(opt, gradients), each * size))
        contenders += _torch(card, values)
        yield card.race(f"{count:,} arrays of {n:,}", contenders, 20)


def rows(card: Card) -> Iterator[Race]:
    n_rows, width, named = QUICK_ROWS if card.quick else ROWS
    rng = np.random.default_rng(0)
    values = rng.standard_normal((named, width)).astype(F4)
    drawn = {
        "repeated": rng.integers(0, n_rows, named),
        "few rows": rng.integers(0, n_rows // 100, named),
        "unique": rng.choice(n_rows, named, replace=False),
    }
    for which, indices in drawn.items():
        different = len(np.unique(indices))
        # Parameters are read and written, and so are accumulators; the check reads the gradient once more.
        of_table = {"element": 16 * width * different, "row": 8 * (width + 1) * different}
        contenders = [card.copy(of_table["element"] + 8 * width * named)]
        for accumulator, size in of_table.items():
            table, options = card.zeros(n_rows, width), {"learning_rate": RATE, "accumulator": accumulator}
            opt = fa.ADAGRAD(params=table, **options)
            given = fa.Rows(card.put(indices), card.put(values), assume_unique=which == "unique")
            opt.step(given)
            require_host(table, np.zeros((n_rows, width), F4), fa.Rows(indices, values), options)
            name = f"fastadagrad, an accumulator for each {accumulator}"
            contenders.append(Contender(name, _step(opt, given), size + 8 * width * named))
        contenders += _torch_rows(card, n_rows, indices, values, of_table["element"] + 4 * width * named)
        yield card.race(f"{named:,} rows, {which}, of {n_rows:,} x {width}", contenders, 20)


RACES: dict[str, Callable[[Card], Iterator[Race]]] = {"dense": dense, "many": many, "rows": rows}


def _step(opt: Any, gradients: Any) -> Callable[[], object]:
    return lambda: opt.step(gradients)


def _torch(card: Card, values: Sequence[Any]) -> Iterator[Contender]:
    torch = card.peer("torch")
    if torch is None:
        return
    for how in ("fused", "foreach"):
        params = [torch.nn.Parameter(torch.tensor(v, device="cuda")) for v in values]
        for p, v in zip(params, values, strict=True):
            p.grad = torch.tensor(v, device="cuda")
        try:
            opt = torch.optim.Adagrad(params, lr=RATE, eps=EPSILON, **{how: True})
            opt.step()
        except RuntimeError as error:  # torch has no such loop for this kind of parameter
            card.absent.append(f"torch, {how} takes no part: {error}")
            continue
        yield Contender(f"torch, {how}", opt.step, 20 * sum(v.size for v in values))


def _cupy(card: Card, v: Any) -> Iterator[Contender]:
    cupy = card.peer("cupy")
    if cupy is None:
        return
    formula = "G += g * g; p -= a * g / (sqrt(G) + e)"
    kernel = cupy.ElementwiseKernel("T g, T a, T e", "T p, T G", formula, "adagrad_elementwise")
    p, g, G = cupy.asarray(v), cupy.asarray(v), cupy.zeros(v.shape, F4)
    yield Contender(
        "CuPy, an elementwise kernel", lambda: kernel(g, F4.type(RATE), F4.type(EPSILON), p, G), 20 * v.size
    )


def _torch_rows(card: Card, n_rows: int, indices: Any, values: Any, size: int) -> Iterator[Contender]:
    torch = card.peer("torch")
    if torch is None:
        return
    p = torch.nn.Parameter(torch.zeros(n_rows, values.shape[1], device="cuda"))
    opt = torch.optim.Adagrad([p], lr=RATE, eps=EPSILON)
    places, given = torch.tensor(indices, device="cuda")[None], torch.tensor(values, device="cuda")

    def step() -> None:
        p.grad = torch.sparse_coo_tensor(places, given, p.shape, check_invariants=False)
        opt.step()

    step()
    yield Contender("torch, a sparse gradient", step, size)
