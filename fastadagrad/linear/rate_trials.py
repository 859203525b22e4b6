"""The search for a linear model's learning rate by trials: short fits on some examples, judged by other examples."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.tables import Table
from ..engine.options import Settings
from ..support.log import logger
from .methods import START
from .scaling import exponents_of
from .splits import in_proportion, rows_of
from .training import Examples, Scorer, Trainer, importance_of

DECADES = 6  # factors of 10 by which the search goes up or down from START, at most
FINEST = 0.25  # smallest step of the search, in decades
FOLDS = 5
MOST_EXAMPLES = 10_000
# All folds of a trial together visit a fifth of the examples that a fit visits, or LEAST_VISITS if that is more.
SHARE, LEAST_VISITS = 5, 10_000

Prepare = Callable[[Table], Examples]
MakeTrainer = Callable[[Examples, Settings], Trainer]


class Fold(NamedTuple):
    """The examples that one of a trial's fits trains on, and the examples that judge it."""

    fitted: Examples
    orders: list[NDArray[np.int64]]  # one an epoch
    held_out: Examples


def make_folds(table: Table, groups: NDArray[np.int64], prepare: Prepare, epochs: int, seed: int) -> list[Fold]:
    """Five folds of some of the examples, each of which holds out a fifth of every group, for a fit of `epochs` epochs.

    The only example of a group is never held out, as a fit without it could not know its class.

    Raises
    ------
    ValueError
        If there are fewer than two examples.
    """
    n = len(table.labels)
    if n < 2:
        raise ValueError(f"learning_rate='auto' takes two examples or more, got {n}: give a number")
    rng = np.random.default_rng([seed, 2])
    visits = max(n * epochs // SHARE, LEAST_VISITS)
    order = rng.permutation(n)
    chosen = order[in_proportion(groups[order], min(n, MOST_EXAMPLES, visits // (FOLDS - 1)), spare=0)]
    fold_of = _deal(groups[chosen])
    count = int(fold_of.max()) + 1
    epochs = min(epochs, max(1, round(visits / (len(chosen) * (count - 1)))))
    fitted = prepare(rows_of(table, chosen))
    folds = []
    for fold in range(count):
        orders = [rng.permutation(np.flatnonzero(fold_of != fold)) for _ in range(epochs)]
        folds.append(Fold(fitted, orders, prepare(rows_of(table, chosen[fold_of == fold]))))
    return folds


def _deal(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """The fold that holds each example out, or -1 if none does; every fold has its share of each group."""
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    held_out = sizes[group] > 1
    if not held_out.any():  # each example is the only one of its group
        held_out[:] = True
    dealt = np.argsort(group, kind="stable")
    dealt = dealt[held_out[dealt]]
    fold_of = np.full(len(groups), -1)
    fold_of[dealt] = np.arange(len(dealt)) % min(FOLDS, len(dealt))
    return fold_of


def search(folds: list[Fold], trainer_of: MakeTrainer, settings: Settings) -> float:
    """The learning rate whose short fits have the lowest loss on held-out examples, or one that is as good.

    The search goes from `START` up or down by factors of 10 for as long as the mean loss of the held-out examples
    falls, and then tries half a decade and a quarter of a decade to either side of the best rate. Of all the rates
    whose loss exceeds the lowest by no more than one standard error of that difference over the folds, the nearest to
    `START` is taken.

    Raises
    ------
    ValueError
        If no rate gives finite losses.
    """
    found: dict[float, NDArray[np.float64]] = {}  # by decades above START

    def mean_loss(decades: float) -> float:
        if decades not in found:
            found[decades] = _losses(folds, trainer_of, settings, _rate(decades))
        with np.errstate(over="ignore"):
            return float(found[decades].mean())

    best, step = 0.0, 1.0
    while step >= FINEST:
        best, before = min((best, best - step, best + step), key=mean_loss), best
        if best == before and step == 1 and math.isinf(mean_loss(best)):
            best -= step  # all rates around have diverged: go on with lower rates
        elif best == before or step < 1:
            step /= 2
        if abs(best) >= DECADES:
            break
    if math.isinf(mean_loss(best)):
        raise ValueError(
            f"learning_rate='auto' finds no rate down to {_rate(best):g} at which training does not diverge: "
            "scale X and y, or use scale='auto'"
        )
    chosen = min((each for each in found if _ties(found[each], found[best])), key=abs)
    rate = _rate(chosen)
    if abs(chosen) >= DECADES:
        message = "learning rate %g is the last that was tried: is there something to learn, or is X scaled badly?"
        logger.warning(message, rate)
    logger.info("learning rate %g, by %d trials on %d examples", rate, len(found), len(folds[0].fitted.labels))
    return rate


def _rate(decades: float) -> float:
    """The rate that is so many decades above START, rounded to three digits, so that it is shown as it is used."""
    return float(f"{START * 10.0**decades:.3g}")


def _losses(folds: list[Fold], trainer_of: MakeTrainer, settings: Settings, rate: float) -> NDArray[np.float64]:
    """Mean loss of each fold's held-out examples, infinite where training diverges."""
    options = replace(settings.options, learning_rate=rate)
    if rate * options.decoupled_weight_decay >= 1:  # weights would change sign
        return np.full(len(folds), np.inf)
    return np.array([_loss(fold, trainer_of(fold.fitted, replace(settings, options=options))) for fold in folds])


def _loss(fold: Fold, trainer: Trainer) -> float:
    for order in fold.orders:
        if not math.isfinite(trainer.epoch(order)):
            return math.inf
    scorer = Scorer(trainer.targets)
    scores = scorer.scores(fold.held_out, *trainer.parameters)
    loss = scorer.loss(scores, fold.held_out.labels, importance_of(fold.held_out))
    return loss if math.isfinite(loss) else math.inf


def _ties(losses: NDArray[np.float64], lowest: NDArray[np.float64]) -> bool:
    if not np.isfinite(losses).all():
        return False
    excess = losses - lowest
    excess = np.ldexp(excess, -exponents_of(np.abs(excess).max()))
    return bool(excess.mean() <= excess.std(ddof=1) / math.sqrt(len(excess)))
