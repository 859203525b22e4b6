"""One fit of a linear model, from checked arguments and examples to weights for features as they come.

Of many features the arrays of one number for each are what takes memory, so that no more of them are held at a time
than are in use: the sizes by which sparse features are scaled are measured again in the end, and in their place the
finished weights are made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data import memory_at_hand
from ..data.memory_at_hand import advice, in_words
from ..data.tables import CSR, Table
from ..engine.options import Conduct, Settings
from ..support.stopping import Patience
from . import rate_trials, scaling, targets
from .epochs import Outcome, Run, reporting
from .links import LINKS
from .methods import missed_steps_refusal
from .scaling import Scaling
from .splits import split
from .targets import Targets
from .training import Examples, Trainer, as_examples, bytes_a_feature

FEWEST_EPOCHS, MOST_EPOCHS, ENOUGH_UPDATES = 10, 50, 10_000
NEGLIGIBLE = 1e-7  # a weight, beside the largest
Progress = bool | Callable[..., Any]


class Fit(NamedTuple):
    """What comes of it."""

    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]
    targets: Targets
    learning_rate: float
    outcome: Outcome
    values: int  # features stored in the examples trained on


def fit(
    p: Mapping[str, Any], settings: Settings, conduct: Conduct, table: Table, valid: Any, progress: Progress
) -> Fit:
    """Train on a table, or on what of it is not set aside for validation, with a model's parameters `p`."""
    if not table.features.shape[1]:
        shape = f"(shape=({table.features.shape[0]}, 0))"
        raise ValueError(f"X has nothing to learn from: 0 feature(s) {shape} while a minimum of 1 is required")
    chosen = targets.choose(p["loss"], table.labels, p)
    lazy = _lazy(p, settings, isinstance(table.features, CSR))
    if isinstance(table.features, CSR):
        check_width(table.features, bytes_a_feature(chosen.outputs, settings, p["batch_size"], lazy, p["dtype"]))
    table, held_out = split(table, valid, p["seed"], chosen)
    if p["scale"] != "none" and p["intercept"]:
        chosen = chosen.standardised(table.labels)
    n, width = table.features.shape
    epochs = p["max_epochs"] or min(max(FEWEST_EPOCHS, -(-ENOUGH_UPDATES // n)), MOST_EPOCHS)
    measure = partial(scaling.measure, p["scale"], table.features, p["intercept"])
    prepare = partial(_prepare, measure(), chosen, p["dtype"])
    examples = prepare(table)
    judges = None if held_out is None else prepare(held_out, unknown=True)
    folds = None
    if p["learning_rate"] == "auto":
        folds = rate_trials.make_folds(table, chosen.groups(table.labels), prepare, epochs, p["seed"])
    scale = None if isinstance(table.features, CSR) else prepare.args[0]
    del prepare
    trainer_of = partial(
        Trainer, features=width, targets=chosen, batch_size=p["batch_size"], lazy=lazy, intercept=p["intercept"]
    )
    rate = settings.learning_rate_at(0)
    if folds is not None:
        rate = rate_trials.search(folds, trainer_of, settings)
        settings = replace(settings, options=replace(settings.options, learning_rate=rate))
    order = np.random.default_rng([p["seed"], 1]) if p["shuffle"] else None
    with reporting(progress, epochs, n) as (report, tell):
        run = Run(trainer_of(examples, settings), judges, Patience(conduct.patience, conduct.min_improvement))
        outcome = run.run(epochs, order, report, tell)
    del run
    return Fit(*_unscaled(outcome.weights, scale or measure(), chosen), chosen, rate, outcome, examples.values.size)


def _lazy(p: Mapping[str, Any], settings: Settings, sparse: bool) -> str:
    lazy = str(p["lazy"])
    reason = missed_steps_refusal(settings) if sparse and lazy == "exact" else None
    if reason is not None:
        raise ValueError(reason)
    return lazy


def _prepare(scale: Scaling, chosen: Targets, dtype: Any, table: Table, unknown: bool = False) -> Examples:
    labels = chosen.encode(table.labels, dtype, unknown=unknown)
    return as_examples(scale.apply(table.features, dtype), labels)


def _unscaled(
    weights: tuple[NDArray[Any], NDArray[Any]], scale: Scaling, chosen: Targets
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights and intercept for features and labels as they come; the scaling is used up."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        raw, intercept = scale.unfold(*weights)
        factor, shift = LINKS[chosen.record.link].rescaled(chosen.centre, chosen.spread)
        raw *= factor
        intercept = intercept[0] * factor + shift
    if not scaling.only_finite(raw, intercept) or _has_lost(weights[0], raw):
        raise ValueError("X and y differ so much in size that float64 cannot hold the weights: multiply X or y")
    return raw, intercept


def _has_lost(weights: NDArray[Any], raw: NDArray[np.float64]) -> bool:
    """Whether a weight that counts has become 0."""
    if np.count_nonzero(raw) == np.count_nonzero(weights):
        return False
    least = NEGLIGIBLE * max(weights.max(), -weights.min())
    return any(
        bool(np.any((raw[part] == 0) & (np.abs(weights[part]) > least)))
        for part in scaling.parts_of(len(weights))  # as truth values of all would take memory, too
    )


def check_width(features: CSR, bytes_each: int) -> None:
    """Refuse a sparse matrix of more columns than there is memory for, at so many bytes a column.

    Raises
    ------
    ValueError
        Naming the largest column, its row, and the number of bits to hash columns into that would fit.
    """
    width = features.shape[1]
    at_hand = memory_at_hand.bytes_at_hand() if width * bytes_each > memory_at_hand.LITTLE else None
    if at_hand is None or width * bytes_each <= at_hand:
        return
    place = ""
    if features.indices.size:
        largest = int(np.argmax(features.indices))
        row = int(np.searchsorted(features.indptr, largest, "right")) - 1
        place = f", the largest of those in use {features.indices[largest]}, in row {row}"
    bits = int(math.log2(max(at_hand / 2 / bytes_each, 2)))
    raise ValueError(
        f"X has {width:,} columns{place}: training takes {bytes_each} bytes for each, {in_words(width * bytes_each)} "
        f"in all, but {in_words(at_hand)} are at hand; {advice(bits)}"
    )
