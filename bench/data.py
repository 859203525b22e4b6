"""Data for the benchmarks of linear models: a9a where it is at hand, and generated data of the same shape."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

A9A = Path(__file__).parents[2] / "shared" / "data" / "a9a.train.svm.gz"
ROWS = 32_561
# categories of each attribute, as a9a has them: one of each is 1 in a row, 123 in all
CATEGORIES = (5, 8, 5, 16, 5, 7, 14, 6, 5, 2, 2, 2, 5, 41)


class Absent(Exception):
    """Data that are not at hand, and where they should be."""


def a9a(rows: int) -> bytes:
    """Text of a9a's training set, all of it whatever `rows`; Absent if there is none."""
    if not A9A.exists():
        raise Absent(f"{A9A.name} is absent: it should be in {Path(*A9A.parts[-3:-1])} beside the repository")
    return gzip.decompress(A9A.read_bytes())


def like_a9a(rows: int) -> bytes:
    """Text of as many binary features a row, in all and set, as a9a has."""
    rng = np.random.default_rng(123)
    chosen = [rng.choice(n, rows, p=_falling(n)) for n in CATEGORIES]
    columns = np.stack(chosen, axis=1) + np.cumsum((0, *CATEGORIES[:-1]))
    truth = rng.normal(0, 1, sum(CATEGORIES))
    positive = rng.random(rows) < 1 / (1 + np.exp(-truth[columns].sum(axis=1)))
    return _text(positive, columns, [[b"1"] * len(CATEGORIES)] * rows)


def real_values(rows: int) -> bytes:
    """The same columns with values of six digits."""
    rng = np.random.default_rng(321)
    columns = np.stack([rng.choice(n, rows) for n in CATEGORIES], axis=1) + np.cumsum((0, *CATEGORIES[:-1]))
    values = rng.normal(0, 1, columns.shape).tolist()
    return _text(rng.random(rows) < 0.5, columns, [[b"%.6g" % x for x in row] for row in values])


def _falling(n: int) -> NDArray[np.float64]:
    weights: NDArray[np.float64] = 1 / np.arange(1.0, n + 1)
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def _text(positive: NDArray[np.bool_], columns: NDArray[Any], values: list[list[bytes]]) -> bytes:
    lines = []
    for label, row, row_values in zip(positive.tolist(), (columns + 1).tolist(), values, strict=True):
        pairs = b" ".join(b"%d:%b" % pair for pair in zip(row, row_values, strict=True))
        lines.append((b"+1 " if label else b"-1 ") + pairs)
    return b"\n".join(lines) + b"\n"
