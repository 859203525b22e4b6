"""Some rows of an embedding table, as the gradient of a minibatch has them.

Every contender has a table and an accumulator of its own, and its own turn at the sets of rows, so that no
cache holds what it needs. A turn is several steps, each of another set, as threads that have slept take time to wake.
FBGEMM is timed in its backward pass, of which the update is a part; the forward passes before it, in which each row is
a bag of its own, have just read the same rows of the table, untimed.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle, islice
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import pytest
from numba import njit, prange
from race import OURS, NewRace, Race
from torch_adagrad import EPSILON, LEARNING_RATE

import fastadagrad as fa
from fastadagrad.kernels.memory.prefetch import prefetch, prefetch_lines, rows_ahead

UNIQUE, TORCH, FBGEMM = f"{OURS}, assume_unique", "torch sparse", "FBGEMM"
LOOPS = {f"row loop, prefetch {ahead} ahead": ahead for ahead in (4, 8)}
LOOP_LIKE_OURS = "row loop, prefetch as we do"
INITIAL = 0.1  # of the accumulators: memory that has been written to, and first steps that tell sizes apart
SETS, STEPS = 8, 4  # steps a turn
PAUSE = 0.003  # seconds, in which the threads of the one before stop waiting for more work, which takes a core

Draw = Callable[[Any, int, int], Any]


class Batch(NamedTuple):
    """What one step is given."""

    indices: Any
    values: Any


def make_row_loop(ahead: int) -> Any:
    """Read and write what AdaGrad reads and writes of these rows, and compute next to nothing."""

    @njit(parallel=True)
    def row_loop(p: Any, G: Any, indices: Any, values: Any) -> None:
        n, width = values.shape
        for k in prange(n):
            if k + ahead < n:
                prefetch(p, indices[k + ahead])
                prefetch(G, indices[k + ahead])
            r = indices[k]
            for j in range(width):
                p[r, j] += values[k, j]
                G[r, j] += values[k, j]

    return row_loop


@njit(parallel=True)
def row_loop_like_ours(p: Any, G: Any, indices: Any, values: Any) -> None:
    """The same loop, with the whole of the rows asked for, from as far ahead as we do."""
    n, width = values.shape
    size = width * p.itemsize
    ahead = rows_ahead(size)
    for k in prange(n):
        if k + ahead < n:
            offset = indices[k + ahead] * size
            prefetch_lines(p.ctypes.data + offset, size)
            prefetch_lines(G.ctypes.data + offset, size)
            prefetch_lines(values.ctypes.data + (k + ahead) * size, size)
        r = indices[k]
        for j in range(width):
            p[r, j] += values[k, j]
            G[r, j] += values[k, j]


def distinct(rng: Any, rows: int, n: int) -> Any:
    return rng.choice(rows, n, replace=False)


def zipf(rng: Any, rows: int, n: int, exponent: float = 1.1) -> Any:
    """Rows of which the k-th most frequent, wherever it lies, comes in proportion to k ** -exponent."""
    shares = np.cumsum(np.arange(1.0, rows + 1) ** -exponent)
    places = np.random.default_rng(rows).permutation(rows)
    return places[np.searchsorted(shares, rng.random(n) * shares[-1])]


def make_sets(rows: int, n: int, width: int, draw: Draw) -> list[Batch]:
    rng = np.random.default_rng(n)
    return [Batch(draw(rng, rows, n), rng.standard_normal((n, width), np.float32)) for _ in range(SETS)]


def make_table(rows: int, width: int) -> Any:
    return np.random.default_rng(rows).standard_normal((rows, width), np.float32)


def after_first_step(p: Any, g: Any, by_row: bool) -> Any:
    """Rows after one step of AdaGrad, in their dtype; squares and their means are float64 where a row shares one."""
    a, e, G = map(np.float32, (LEARNING_RATE, EPSILON, INITIAL))
    more = np.mean(np.square(g, dtype=np.float64), axis=1, keepdims=True) if by_row else g * g
    return p - (a * g) / (np.sqrt(G + more.astype(np.float32)) + e)


def check_first_step(step: Callable[[], object], p: Any, batch: Batch, by_row: bool, rtol: float) -> None:
    """Hold a contender to the formula, in the rows that it was given and in some that it was not."""
    touched, which = np.unique(batch.indices, return_inverse=True)
    others = np.setdiff1d(np.arange(min(len(p), 10_000)), touched)
    g = np.zeros_like(p[touched])
    np.add.at(g, which, batch.values)
    expected, left_alone = after_first_step(p[touched], g, by_row), p[others]
    step()
    np.testing.assert_allclose(p[touched], expected, rtol=rtol, atol=rtol)
    np.testing.assert_array_equal(p[others], left_alone)


class Field:
    """The contenders of a race: all get the same sets of rows, but never the same one at the same time."""

    def __init__(self, race: Race, sets: list[Batch], rows: int, threads: int, accumulator: str = "element") -> None:
        self.race, self.sets, self.rows, self.threads, self.accumulator = race, sets, rows, threads, accumulator
        self.n, self.width = sets[0].values.shape
        self.by_row = accumulator == "row"
        self._starts = cycle(range(SETS))
        race.amount, race.unit = STEPS * self.n / 1e6, "Mrows"

    def add_ours(self, name: str = OURS, assume_unique: bool = False) -> None:
        p = make_table(self.rows, self.width)
        opt = fa.ADAGRAD(
            params=p,
            learning_rate=LEARNING_RATE,
            rms_regularizer=EPSILON,
            initial_accumulator_value=INITIAL,
            accumulator=self.accumulator,
            nonfinite="ignore",
            threads=self.threads,
        )

        def step(indices: Any, values: Any) -> None:
            opt.step(fa.Rows(indices, values, assume_unique=assume_unique))

        check_first_step(lambda: step(*self.sets[0]), p, self.sets[0], self.by_row, rtol=1e-6 if self.by_row else 0)
        self._add(name, step)

    def add_row_loops(self) -> None:
        """The floor: loops that prefetch so many rows ahead, the fastest of which counts, and one that does as we."""
        loops = {name: make_row_loop(ahead) for name, ahead in LOOPS.items()}
        for name, loop in {**loops, LOOP_LIKE_OURS: row_loop_like_ours}.items():
            table = make_table(self.rows, self.width)
            arrays = table, np.full_like(table, INITIAL)
            self._add(name, lambda *batch, loop=loop, arrays=arrays: loop(*arrays, *batch))

    def add_torch(self) -> None:
        torch = self.race.optional("torch", TORCH)
        if not torch:
            return
        torch.set_num_threads(self.threads)
        p = make_table(self.rows, self.width)
        param = torch.from_numpy(p)
        opt = torch.optim.Adagrad([param], lr=LEARNING_RATE, eps=EPSILON, initial_accumulator_value=INITIAL)

        def prepare(indices: Any, values: Any) -> tuple[Any]:
            parts = torch.from_numpy(indices[None]), torch.from_numpy(values)
            return (torch.sparse_coo_tensor(*parts, p.shape, check_invariants=False),)

        def step(gradient: Any) -> None:
            param.grad = gradient
            opt.step()

        check_first_step(lambda: step(*prepare(*self.sets[0])), p, self.sets[0], self.by_row, rtol=1e-6)
        self._add(TORCH, step, prepare)

    def add_fbgemm(self) -> None:
        torch = self.race.optional("torch", FBGEMM)
        tbe = torch and self.race.optional(
            "fbgemm-gpu-cpu", FBGEMM, module="fbgemm_gpu.split_table_batched_embeddings_ops_training"
        )
        if not tbe:
            return
        torch.set_num_threads(self.threads)
        exact = tbe.OptimType.EXACT_ROWWISE_ADAGRAD if self.by_row else tbe.OptimType.EXACT_ADAGRAD
        table = tbe.SplitTableBatchedEmbeddingBagsCodegen(
            [(self.rows, self.width, tbe.EmbeddingLocation.HOST, tbe.ComputeDevice.CPU)],
            optimizer=exact,
            learning_rate=LEARNING_RATE,
            eps=EPSILON,
            weights_precision=tbe.SparseType.FP32,
            output_dtype=tbe.SparseType.FP32,
            stochastic_rounding=False,
        )
        p = table.split_embedding_weights()[0].detach().numpy()
        p[...] = make_table(self.rows, self.width)
        table.split_optimizer_states()[0][0].fill_(INITIAL)
        bags = torch.arange(self.n + 1)

        def prepare(indices: Any, values: Any) -> tuple[Any, Any]:
            return table(torch.from_numpy(indices), bags), torch.from_numpy(values)

        def backward(output: Any, gradient: Any) -> None:
            output.backward(gradient)

        ready = prepare(*self.sets[0])
        check_first_step(lambda: backward(*ready), p, self.sets[0], self.by_row, rtol=1e-6)
        self._add(FBGEMM, backward, prepare)

    def _add(self, name: str, call: Callable[..., object], prepare: Callable[..., tuple[Any, ...]] = Batch) -> None:
        turns = islice(cycle(self.sets), next(self._starts), None)

        def take_next() -> tuple[Any]:
            steps = [prepare(*batch) for batch in islice(turns, STEPS)]
            end = perf_counter() + PAUSE
            while perf_counter() < end:
                pass
            return (steps,)

        def take_steps(steps: list[tuple[Any, ...]]) -> None:
            for arguments in steps:
                call(*arguments)

        self.race.add(name, take_steps, prepare=take_next)


def sizes(quick: bool, width: int = 64) -> tuple[int, int]:
    """Rows of the table, and how many of them get a gradient: as many bytes, whatever the width."""
    rows, n = (20_000, 2_000) if quick else (1_000_000, 65_536)
    return rows * 64 // width, n * 64 // width


def rounds(quick: bool) -> int:
    return 5 if quick else 31


def against_row_loops(race: Race, ours: str) -> None:
    race.at_least(0.9, min(LOOPS, key=race.medians.__getitem__), ours=ours)
    race.at_least(None, LOOP_LIKE_OURS, ours=ours)


def test_distinct_rows(new_race: NewRace, two_threads: int, quick: bool) -> None:
    rows, n = sizes(quick)
    race = new_race(f"{STEPS} x {n:,} distinct rows of {rows:,} x 64, {two_threads} threads")
    field = Field(race, make_sets(rows, n, 64, distinct), rows, two_threads)
    field.add_ours()
    field.add_ours(UNIQUE, assume_unique=True)
    field.add_row_loops()
    field.add_torch()
    field.add_fbgemm()
    race.run(rounds(quick))
    race.at_least(7, FBGEMM)
    race.at_least(9, TORCH)
    against_row_loops(race, OURS)
    against_row_loops(race, UNIQUE)


@pytest.mark.parametrize("width", [16, 256])
def test_other_widths(new_race: NewRace, two_threads: int, quick: bool, width: int) -> None:
    rows, n = sizes(quick, width)
    race = new_race(f"{STEPS} x {n:,} distinct rows of {rows:,} x {width}, {two_threads} threads")
    field = Field(race, make_sets(rows, n, width, distinct), rows, two_threads)
    field.add_ours()
    field.add_ours(UNIQUE, assume_unique=True)
    field.add_row_loops()
    race.run(rounds(quick))
    against_row_loops(race, OURS)
    against_row_loops(race, UNIQUE)


def test_row_wise_accumulator(new_race: NewRace, two_threads: int, quick: bool) -> None:
    rows, n = sizes(quick)
    race = new_race(f"{STEPS} x {n:,} distinct rows of {rows:,} x 64, row-wise accumulator, {two_threads} threads")
    field = Field(race, make_sets(rows, n, 64, distinct), rows, two_threads, accumulator="row")
    field.add_ours()
    field.add_fbgemm()
    race.run(rounds(quick))
    race.at_least(2, FBGEMM)


def test_duplicates(new_race: NewRace, two_threads: int, quick: bool) -> None:
    rows, n = sizes(quick)
    race = new_race(f"{STEPS} x {n:,} Zipf-distributed rows of {rows:,} x 64, {two_threads} threads")
    field = Field(race, make_sets(rows, n, 64, zipf), rows, two_threads)
    field.add_ours()
    field.add_torch()
    field.add_fbgemm()
    race.run(rounds(quick))
    race.at_least(3, TORCH)
    race.at_least(None, FBGEMM)


def test_larger_table(new_race: NewRace, two_threads: int, quick: bool) -> None:
    rows, n = sizes(quick)
    smaller = f"table of {rows:,} rows"
    race = new_race(f"{STEPS} x {n:,} distinct rows of {8 * rows:,} x 64, {two_threads} threads")
    Field(race, make_sets(8 * rows, n, 64, distinct), 8 * rows, two_threads).add_ours()
    Field(race, make_sets(rows, n, 64, distinct), rows, two_threads).add_ours(smaller)
    race.run(rounds(quick))
    race.at_most(1.5, of=smaller)
