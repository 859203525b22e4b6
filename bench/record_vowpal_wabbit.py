"""Record what Vowpal Wabbit predicts in tests/recorded/vowpal_wabbit.npz, for tests/docs/test_from_vowpal_wabbit.py.

    python bench/record_vowpal_wabbit.py

needs vowpalwabbit. It goes once through some examples, by the flags of each row of the table "Calls" in
docs/migrating/vowpal_wabbit.md, and predicts each example before it learns from it. The file has the examples, their
labels, the predictions by the flags, and the version.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import vowpalwabbit
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "migrating" / "vowpal_wabbit.md"
TARGET = ROOT / "tests" / "recorded" / "vowpal_wabbit.npz"
ALWAYS = "--quiet --min_prediction -50 --max_prediction 50"
EXAMPLES, FEATURES = 200, 12


def make_examples() -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Half of the features of an example are 0, which Vowpal Wabbit is not told of; the labels are -1 and 1."""
    rng = np.random.default_rng(0)
    X = np.where(rng.random((EXAMPLES, FEATURES)) < 0.5, rng.standard_normal((EXAMPLES, FEATURES)), 0)
    y = np.where(X[:, 0] - X[:, 1] + 0.3 * rng.standard_normal(EXAMPLES) > 0, 1, -1)
    return X.astype(np.float32), y.astype(np.int8)


def flags() -> list[str]:
    calls = PAGE.read_text().split("\n## Calls\n")[1]
    return re.findall(r"^\| `(--loss_function [^`]*)` \|", calls, re.MULTILINE)


def predictions(options: str, X: NDArray[np.float32], y: NDArray[np.int8]) -> NDArray[np.float32]:
    workspace = vowpalwabbit.Workspace(f"{options} {ALWAYS}")
    found = []
    for row, label in zip(X, y, strict=True):
        features = " ".join(f"{j}:{row[j]:.9g}" for j in np.flatnonzero(row))
        found.append(workspace.predict(f"| {features}"))
        workspace.learn(f"{label} | {features}")
    return np.array(found, np.float32)


def main() -> None:
    X, y = make_examples()
    arrays: dict[str, Any] = {"X": X, "y": y, "version": np.array(version("vowpalwabbit"))}
    np.savez_compressed(TARGET, **arrays, **{options: predictions(options, X, y) for options in flags()})


if __name__ == "__main__":
    main()
