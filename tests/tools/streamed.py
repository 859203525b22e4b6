"""Examples of all losses as text and Parquet, of which streams are made, and what the tests of streams share."""

import io
import sys

import numpy as np

RNG = np.random.default_rng(7)
N, K = 2400, 6
PLAIN = {"learning_rate": 0.1, "average": False}  # what has the same bits in memory
X = np.where(RNG.random((N, K)) < 0.6, RNG.normal(size=(N, K)) * [1, 10, 0.1, 1, 1, 3], 0).round(4)
SCORE = X @ [1.0, -0.1, 5.0, 0.0, 0.5, 0.2] + 0.3 * RNG.normal(size=N)
LABELS = {
    "logistic": (SCORE > 0).astype(int),
    "hinge": np.where(SCORE > 0, 1, -1),
    "softmax": np.digitize(SCORE, [-1, 1]),
    "squared": (3 * SCORE + 7).round(3),
    "poisson": np.floor(np.abs(SCORE)),
    "quantile": SCORE.round(3),
    "huber": SCORE.round(3),
}


def text_of(labels):
    """X in svmlight's format, with these labels."""
    lines = []
    for row, label in zip(X, labels, strict=True):
        lines.append(f"{label} " + " ".join(f"{j + 1}:{x}" for j, x in enumerate(row) if x))
    return "\n".join(lines) + "\n"


def lines_of(rows):
    """Text in svmlight's format of sparse rows, with labels that follow from their first column."""
    return "".join(
        f"{int(row[0] > 0.2)} " + " ".join(f"{j + 1}:{x!r}" for j, x in enumerate(row.tolist()) if x) + "\n"
        for row in rows
    )


def equal(one, other):
    """Assert that two models have the same bits."""
    np.testing.assert_array_equal(one.coef_, other.coef_)
    np.testing.assert_array_equal(one.intercept_, other.intercept_)


def from_stdin(monkeypatch, text):
    """Let standard input give a text."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(text.encode()))))


class Told(list):
    """The rows and the entries that a fit tells of."""

    def __init__(self):
        self.rows = []

    __call__ = list.append

    def row(self, row):
        self.rows.append(row)
