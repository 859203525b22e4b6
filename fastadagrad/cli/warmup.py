"""Compile everything ahead, so that no later call has to."""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..mpi.processes import Message

USAGE = "[options]"
EXAMPLES = ("warmup", "warmup --only linear", "warmup --only parser --only dense")
VARIANTS: tuple[dict[str, Any], ...] = (
    {},
    {"l2": 1e-4},
    {"momentum": 0.9},
    {"momentum": 0.9, "nesterov": True},
)
PARTS = ("parser", "linear", "dense", "rows")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("--only", choices=PARTS, action="append", help="this part; may be repeated")


def run(arguments: argparse.Namespace) -> int:
    """Run the command: compile one part after the other."""
    start = time.perf_counter()
    for part in arguments.only or PARTS:
        for what, compile_one in {"parser": _parser, "linear": _linear, "dense": _dense, "rows": _rows}[part]():
            before = time.perf_counter()
            compile_one()
            print(f"{time.perf_counter() - before:6.1f} s  {what}", file=sys.stderr, flush=True)
    print(f"ready after {time.perf_counter() - start:.1f} s", file=sys.stderr)
    return 0


Work = Iterator[tuple[str, Callable[[], object]]]


class _WithZeros:
    """Two processes, of which this is the first, and the second sends zeros."""

    rank, size, is_cuda_aware = 0, 2, False

    def all_of(self, value: Any) -> list[Any]:
        return [value, value]

    def exchange(self, array: NDArray[Any], bounds: Sequence[int], expected: Sequence[int]) -> NDArray[Any]:
        return np.zeros((sum(expected), *array.shape[1:]), array.dtype)

    def exchanged(self, messages: Iterable[Message]) -> Iterator[Message]:
        yield from messages

    def complete(self, array: NDArray[Any], bounds: Sequence[int]) -> Callable[[], None]:
        array[bounds[1] :] = 0
        return lambda: None


def _parser() -> Work:
    from ..data.svmlight import parse

    for dtype in ("float32", "float64"):
        yield f"svmlight parser, {dtype}", partial(parse, b"1 1:2\n", dtype=dtype)


def _dense() -> Work:
    from ..host.compiling_ahead import every_driver
    from ..kernels.rules import adagrad

    return every_driver(adagrad)


def _rows() -> Work:
    """Steps with sparse gradients for each variant: small gradients, and gradients large enough for two threads."""
    from ..engine.rows import Rows
    from ..optimizer.adaptive import ADAGRAD

    def step(dtype: str, options: dict[str, Any]) -> None:
        variants: tuple[dict[str, Any], ...] = ({}, {"max_gradient_norm": 1.0}, {"lazy": "touched"})
        for rows, more in itertools.product((2, 1000), variants):
            table = np.ones((rows, 64), dtype)
            opt = ADAGRAD(params=table, **options, **more)
            for indices in (np.arange(rows), np.zeros(rows, np.int64)):  # each row once, and one row many times
                opt.step(Rows(indices, table.copy()))
            opt.flush()

    for dtype, variant, kind in itertools.product(("float32", "float64"), VARIANTS, ("element", "row", "tensor")):
        shown = " ".join(variant) or "plain"
        yield f"rows, {dtype}, {kind} accumulator, {shown}", partial(step, dtype, {**variant, "accumulator": kind})


def _linear() -> Work:
    """A fit of each variant to very few examples."""
    from ..data.tables import CSR, as_features
    from ..kernels.linear.losses import LOSSES
    from ..linear import LinearModel

    dense = np.eye(4, dtype=np.float32)
    sparse = CSR(np.ones(4, np.float32), np.arange(4, dtype=np.int32), np.arange(5), (4, 4))

    def fit(X: Any, labels: list[int], options: dict[str, Any]) -> None:
        LinearModel(max_epochs=1, scale="none", **options).fit(X, labels, valid=(X, labels)).evaluate(X, labels)
        if options["batch_size"] > 1:  # several processes compile parts of the loop
            LinearModel(max_epochs=1, scale="none", **options).fit(X, labels, valid=(X, labels), comm=_WithZeros())

    layouts = {"dense": dense, "sparse": sparse}
    wide = sparse._replace(indices=sparse.indices.astype(np.int64))
    yield "sparse matrices", lambda: [as_features(each) for each in (sparse, wide)]
    one, many = ([loss for loss in LOSSES.values() if (loss.slope is None) == several] for several in (False, True))
    outputs = {"one output": one[0], **{loss.name: loss for loss in many}}  # losses of one score share their loops
    for (layout, X), (kind, loss), size, variant in itertools.product(
        layouts.items(), outputs.items(), (1, 2), VARIANTS
    ):
        options = {**variant, "batch_size": size, "loss": loss.name}
        labels = [0, 1, 2, 2] if loss.slope is None else [0, 1, 0, 1]
        shown = " ".join(variant) or "plain"
        name = f"linear, {layout}, {kind}, {'minibatches' if size > 1 else 'online'}, {shown}"
        yield name, partial(fit, X, labels, options)
