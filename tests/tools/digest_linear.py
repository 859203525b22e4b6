"""Cases of `digests`: linear models, by loss, layout and options, and commands that make and use one."""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from digest_cases import DTYPES, Arrays, Case, bits, methods, numbers
from explicit import EXPLICIT, LAST

import fastadagrad as fa

# test_every_loss names what is missing.
LOSSES = ("logistic", "squared", "hinge", "softmax", "poisson", "quantile", "huber")
UNSCALED: dict[str, Any] = {"scale": "none", "learning_rate": 0.25, "shuffle": False}
PLAIN: dict[str, dict[str, Any]] = {  # beside EXPLICIT
    "as it comes": {},
    "not scaled": UNSCALED,
    "momentum": {"momentum": 0.5},
    "weight_decay": {"weight_decay": 0.01},
    "batches": {"batch_size": 8},
}
OPTIONS: dict[str, dict[str, Any]] = {
    **PLAIN,
    "nesterov": {"momentum": 0.5, "nesterov": True},
    "l1": {"l1": 0.01},
    "l2": {"l2": 0.01},
    "l1 and l2": {"l1": 0.01, "l2": 0.02},
    "decoupled": {"decoupled_weight_decay": 0.01},
    "momentum, decoupled": {"momentum": 0.5, "decoupled_weight_decay": 0.01},
    "regularizer": {"rms_regularizer": 0.5},
    "batches, momentum": {"batch_size": 8, "momentum": 0.5},
    "batches, l1": {"batch_size": 8, "l1": 0.01},
    "no intercept": {"intercept": False},
    "maxabs": {"scale": "maxabs"},
    "standard": {"scale": "standard"},
    "not shuffled": {"shuffle": False},
    "validation": {"validation": 0.25, "patience": 1},
}
MOVING = ("momentum", "nesterov", "l1", "l2", "decoupled", "momentum, decoupled", "batches, momentum", "batches, l1")


def sparse_examples() -> Any:
    """A CSR matrix some of whose rows are empty, short or longer than 16 values."""
    rows, columns = 90, 40
    kept = bits((rows, columns), 3) % np.uint64(16) < (np.arange(rows) % 15)[:, None]
    return scipy.sparse.csr_array(np.where(kept, numbers((rows, columns), 4, np.float64), 0.0))


def labels_of(loss: str, X: np.ndarray) -> np.ndarray:
    if loss in ("squared", "quantile", "huber"):
        return 2 * X[:, 0] - X[:, 1]
    if loss == "poisson":
        return np.floor(4 * np.abs(X[:, 0]))
    if loss == "softmax":
        return np.array(["low", "mid", "high"])[np.argmax(X[:, :3], axis=1)]
    return X[:, 0] > X[:, 1]


def fitted(loss: str, layout: str, dtype: Any, option: Mapping[str, Any], weights_alone: bool = False) -> Arrays:
    X = numbers((60, 7), 1, np.float64) if layout == "dense" else sparse_examples()
    y = labels_of(loss, X if layout == "dense" else X.toarray())
    model = fa.LinearModel(loss, **{"max_epochs": 3, "dtype": dtype, **option}).fit(X, y)
    weights = {"coefficients": model.coef_, "intercept": model.intercept_, "scores": model.decision_function(X)}
    if weights_alone:
        return weights
    return {
        **weights,
        "rate": np.float64(model.learning_rate_),
        "history": np.array([[epoch[key] for key in sorted(epoch)] for epoch in model.history]),
        "evaluation": np.array([*model.evaluate(X, y).values()]),
    }


def by_command(option: list[str], text: bytes) -> Arrays:
    """A model by the command line from text, and what it predicts for it."""
    with tempfile.TemporaryDirectory() as folder:
        examples, file = Path(folder, "examples"), str(Path(folder, "model"))
        examples.write_bytes(text)
        command = [sys.executable, "-m", "fastadagrad"]
        fit = [*command, "fit", str(examples), "--epochs", "2", "--model", file, "--json", *option]
        predict = [*command, "predict", file, str(examples), "--output", str(Path(folder, "out"))]
        for each in (fit, predict):
            subprocess.run(each, check=True, capture_output=True)
        model = fa.LinearModel.load(file)
        out = np.frombuffer(Path(folder, "out").read_bytes(), np.uint8)
        return {"coefficients": model.coef_, "intercept": model.intercept_, "predictions": out}


def svmlight_text() -> bytes:
    X = sparse_examples().toarray()
    lines = []
    for row, label in zip(X, labels_of("logistic", X), strict=True):
        values = " ".join(f"{j + 1}:{x!r}" for j, x in enumerate(row.tolist()) if x)
        lines.append(f"{'+1' if label else '-1'} {values}".rstrip() + "\n")
    return "".join(lines).encode()


def cases() -> Iterator[Case]:
    for which, dtype in DTYPES.items():
        for loss in LOSSES:
            # Losses for one score share their loops: the loss is a number in them.
            options = OPTIONS if dtype is np.float32 else PLAIN
            chosen: list[tuple[str, str, dict[str, Any]]] = []
            for layout in ("dense", "csr"):
                chosen += [(layout, name, option) for name, option in options.items()]
            for lazy in ("touched", "dense"):
                chosen += [
                    (f"csr, {lazy}", name, {**OPTIONS[name], "lazy": lazy}) for name in MOVING if name in options
                ]
            if dtype is np.float32:
                chosen += [("csr", "hashed", {"hash_bits": 4}), ("dense", "found rate", {"learning_rate": "auto"})]
            for layout, name, option in chosen:
                run = partial(fitted, loss, layout.partition(",")[0], dtype, {**EXPLICIT, **option})
                yield Case(f"linear {loss} | {which} | {layout} | {name}", run)
            for layout in ("dense", "csr"):
                yield Case(f"linear {loss} | {which} | {layout} | by default", partial(fitted, loss, layout, dtype, {}))
                run = partial(fitted, loss, layout, dtype, {**EXPLICIT, **UNSCALED}, weights_alone=True)
                yield Case(f"linear {loss} | {which} | {layout} | weights alone", run)
    for method, layout in itertools.product(methods(), ("dense", "csr")):  # those that measure are refused
        own = EXPLICIT if method == "adagrad" else LAST
        option = {**own, **UNSCALED, "method": method, "lazy": "touched"}
        run = partial(fitted, "logistic", layout, np.float32, option, weights_alone=True)
        yield Case(f"linear logistic | float32 | {layout} | method {method}", run)
    for name, option in {"as it comes": [], "hashed": ["--hash-bits", "5"], "momentum": ["--momentum", "0.5"]}.items():
        yield Case(f"command line | float32 | svmlight | {name}", partial(by_command, option, svmlight_text()))
