"""Time steps beside a plain copy of the same memory, here or on a GPU.

A table shows for each kind of step how long it takes and what share of the bandwidth of a copy it reaches; on a GPU
also the cost of a launch, and the steps of other libraries that are installed (CuPy, torch). Contenders take turns, and
medians are shown.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from typing import Any, NamedTuple, Protocol

import numpy as np

from . import screen

USAGE = "[options]"
EXAMPLES = ("bench", "bench --quick --json", "bench --cuda --rounds 31")
WIDTH = 64  # of rows
PASSES = {"plain": 5, "momentum": 7}  # arrays of a parameter's size that a dense step reads or writes
LEARNING_RATE = 1e-3


class Scale(NamedTuple):
    """Sizes of the measurements."""

    sizes: tuple[int, ...]  # of dense parameters
    rows: int  # rows of a table
    named: int  # rows that a step names
    elements: int  # elements, about, that are moved in calls that are timed together


FULL = Scale((10, 1_000_000, 100_000_000), 1_000_000, 65_536, 10_000_000)
QUICK = Scale((10, 10_000), 1000, 100, 20_000)
LEAST = 1000  # elements, from which on bandwidth is shown; fewer take hardly any time beside that of the call


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("--cuda", action="store_true", help="on a GPU")
    parser.add_argument("--rounds", type=_at_least_one, default=15, help="turns of each contender (15)")
    parser.add_argument("--quick", action="store_true", help="small arrays, to see that it works")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text!r}")
    return int(text)


class Place(Protocol):
    """The memory in which the measured arrays lie."""

    name: str

    def array(self, values: Any) -> Any: ...
    def copy(self, to: Any, source: Any) -> None: ...
    def wait(self) -> None:
        """Wait until all work that was asked for is done."""


class Host:
    """The host's memory, in which NumPy arrays lie."""

    name = "host"

    def array(self, values: Any) -> Any:
        return values

    def copy(self, to: Any, source: Any) -> None:
        np.copyto(to, source)

    def wait(self) -> None:
        pass


class Gpu:
    """The memory of the first GPU."""

    def __init__(self) -> None:
        from ..device import backend

        self._backend = backend.backend_at(0)
        major, minor = self._backend.capability
        self.name = f"GPU of compute capability {major}.{minor}"

    def array(self, values: Any) -> Any:
        from ..device.arrays import zeros

        [made] = zeros(self._backend, [(values.shape, values.dtype)])
        made[...] = values
        return made

    def copy(self, to: Any, source: Any) -> None:
        self._backend.copy(to.address, source.address, to.nbytes)

    def wait(self) -> None:
        self._backend.synchronize()


class Line(NamedTuple):
    """The result of one contender in one kind of work."""

    work: str
    contender: str
    seconds: float
    gigabytes: float | None  # a second, counting the bytes that a step has to move
    share: float | None  # of the bandwidth of a copy


def run(arguments: argparse.Namespace) -> int:
    """Run the command: measure and print."""
    place: Place = Gpu() if arguments.cuda else Host()
    scale = QUICK if arguments.quick else FULL
    lines = [*_dense(place, scale, arguments.rounds), *_rows(place, scale, arguments.rounds)]
    if arguments.json:
        screen.print_json({"place": place.name, "lines": [line._asdict() for line in lines]})
        return 0
    print(f"{place.name}; medians of {arguments.rounds} turns\n")
    print(f"{'work':34} {'contender':18} {'time':>10} {'bandwidth':>12} {'of a copy':>10}")
    for line in lines:
        bandwidth = "" if line.gigabytes is None else f"{line.gigabytes:.4g} GB/s"
        share = "" if line.share is None else f"{line.share:.3g}"
        print(f"{line.work:34} {line.contender:18} {_shown(line.seconds):>10} {bandwidth:>12} {share:>10}")
    return 0


def _shown(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


def _race(place: Place, contenders: dict[str, Callable[[], object]], rounds: int, calls: int) -> dict[str, float]:
    """Median seconds of a call of each contender; `calls` calls are timed together, with the wait for the last."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, call in contenders.items():
            place.wait()
            start = time.perf_counter()
            for _ in range(calls):
                call()
            place.wait()
            if turn:  # the first turn warms up
                seconds[name].append((time.perf_counter() - start) / calls)
    return {name: median(values) for name, values in seconds.items()}


def _dense(place: Place, scale: Scale, rounds: int) -> Iterator[Line]:
    from ..device.arrays import to_host
    from ..optimizer.adaptive import ADAGRAD

    for size in scale.sizes:
        values = np.random.default_rng(0).standard_normal((2, size)).astype(np.float32)
        for motion, hyper in (("plain", {}), ("momentum", {"momentum": 0.9})):
            p, g, copied = (place.array(x.copy()) for x in (*values, values[0]))
            common: dict[str, Any] = {"learning_rate": LEARNING_RATE, **hyper}
            unchecked = ADAGRAD(params=p, nonfinite="ignore", **common)
            unchecked.step(g)
            _refuse_wrong(to_host(p), values[0], values[1])
            checked = ADAGRAD(params=place.array(values[0].copy()), **common)
            contenders: dict[str, Callable[[], object]] = {
                "copy": partial(place.copy, copied, g),
                "fastadagrad": partial(unchecked.step, g),
                "default check": partial(checked.step, g),
            }
            if place.name != Host.name and motion == "plain":
                contenders |= _gpu_peers(values)
            calls = max(1, min(1000, scale.elements // max(size, LEAST)))
            found = _race(place, contenders, rounds, calls)
            moved = {name: (2 if name == "copy" else PASSES[motion]) * 4 * size for name in found}
            yield from _lines(f"dense, {size:,} float32, {motion}", found, moved, with_bandwidth=size >= LEAST)


def _rows(place: Place, scale: Scale, rounds: int) -> Iterator[Line]:
    from ..device.arrays import to_host
    from ..engine.rows import Rows
    from ..optimizer.adaptive import ADAGRAD

    rng, (_, n_rows, named, _) = np.random.default_rng(0), scale
    table = place.array(np.zeros((n_rows, WIDTH), np.float32))
    indices = place.array(rng.choice(n_rows, named, replace=False))
    values = place.array(rng.standard_normal((named, WIDTH)).astype(np.float32))
    copied = place.array(np.zeros((named, WIDTH), np.float32))
    opt = ADAGRAD(params=table, learning_rate=LEARNING_RATE, nonfinite="ignore")
    opt.step(Rows(indices, values))
    _refuse_wrong(to_host(table)[to_host(indices)], np.float32(0), to_host(values))
    contenders: dict[str, Callable[[], object]] = {
        "copy": lambda: place.copy(copied, values),
        "fastadagrad": lambda: opt.step(Rows(indices, values)),
        "assume_unique": lambda: opt.step(Rows(indices, values, assume_unique=True)),
    }
    found = _race(place, contenders, rounds, calls=4)
    moved = {name: (2 if name == "copy" else PASSES["plain"]) * 4 * named * WIDTH for name in found}
    yield from _lines(f"{named:,} rows of {n_rows:,} x {WIDTH}", found, moved, with_bandwidth=True)


def _refuse_wrong(found: Any, p: Any, g: Any) -> None:
    """Raise RuntimeError unless these are the parameters after one step from new state: a wrong step is not timed."""
    expected = p - (np.float32(LEARNING_RATE) * g) / (np.sqrt(g * g) + np.float32(1e-8))
    if found.tobytes() != expected.tobytes():
        raise RuntimeError("a step has not given the bits of the formula: please report this, with `fastadagrad info`")


def _lines(work: str, seconds: dict[str, float], moved: dict[str, int], with_bandwidth: bool) -> Iterator[Line]:
    """The results of one race; bandwidth is left out if so little is moved that the call itself takes the time."""
    rates = {name: moved[name] / 1e9 / seconds[name] for name in seconds}
    for name, time_taken in seconds.items():
        bandwidth = (rates[name], rates[name] / rates["copy"]) if with_bandwidth else (None, None)
        yield Line(work, name, time_taken, *bandwidth)


def _gpu_peers(values: Any) -> dict[str, Callable[[], object]]:
    """Steps of the same size by other libraries, if these are installed and can use the GPU."""
    found: dict[str, Callable[[], object]] = {}
    for name, make in (("CuPy elementwise", _cupy_step), ("torch", _torch_step)):
        try:
            found[name] = make(*values)
        except Exception as error:  # each library raises errors of its own if it is missing or finds no GPU
            print(f"{name} takes no part: {error}", file=sys.stderr)
    return found


def _cupy_step(p: Any, g: Any) -> Callable[[], object]:
    cupy = importlib.import_module("cupy")
    kernel = cupy.ElementwiseKernel(
        "T g, T a, T e", "T p, T G", "G += g * g; p -= a * g / (sqrt(G) + e)", "adagrad_elementwise"
    )
    on_gpu = cupy.asarray(p), cupy.asarray(g), cupy.zeros_like(cupy.asarray(g))
    a, e = np.float32(LEARNING_RATE), np.float32(1e-8)
    return lambda: kernel(on_gpu[1], a, e, on_gpu[0], on_gpu[2])


def _torch_step(p: Any, g: Any) -> Callable[[], object]:
    torch = importlib.import_module("torch")
    parameter = torch.nn.Parameter(torch.tensor(p, device="cuda"))
    parameter.grad = torch.tensor(g, device="cuda")
    try:
        step: Callable[[], object] = torch.optim.Adagrad([parameter], lr=LEARNING_RATE, fused=True).step
        step()
    except RuntimeError:  # this version of torch has no fused Adagrad for CUDA
        step = torch.optim.Adagrad([parameter], lr=LEARNING_RATE, foreach=True).step
    return step
