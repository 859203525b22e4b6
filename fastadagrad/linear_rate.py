"""The learning rate of a linear model by trial: short fits on some of the examples, judged by the others."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .hyper import Settings
from .linear_data import take
from .linear_training import Examples, Scorer, Trainer
from .log import logger
from .tables import Table

START = 0.1  # the default
DECADES = 6  # to go up or down from there, at most
FINEST = 0.25  # of a decade
FOLDS = 5
MOST_EXAMPLES = 10_000
SHARE, LEAST_VISITS = 5, 10_000  # all folds of a trial: a fifth of the examples that a fit sees, or so many

Prepare = Callable[[Table], Examples]
MakeTrainer = Callable[[Examples, Settings], Trainer]


class Fold(NamedTuple):
    """What one of a trial's fits trains on, and what judges it."""

    fitted: Examples
    orders: list[NDArray[np.int64]]  # one an epoch
    held_out: Examples


def make_folds(table: Table, prepare: Prepare, epochs: int, seed: int) -> list[Fold]:
    """Five ways to hold out a fifth of some examples, for a fit of so many epochs.

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
    chosen = rng.permutation(n)[: min(MOST_EXAMPLES, visits // (FOLDS - 1))]
    count = min(FOLDS, len(chosen))
    epochs = min(epochs, max(1, round(visits / (len(chosen) * (count - 1)))))
    fitted = prepare(_part(table, chosen))
    folds = []
    for fold in range(count):
        rest = np.flatnonzero(np.arange(len(chosen)) % count != fold)
        orders = [rng.permutation(rest) for _ in range(epochs)]
        folds.append(Fold(fitted, orders, prepare(_part(table, chosen[fold::count]))))
    return folds


def _part(table: Table, rows: NDArray[np.int64]) -> Table:
    return Table(take(table.features, rows), table.labels[rows], table.name)


def search(folds: list[Fold], trainer_of: MakeTrainer, settings: Settings) -> float:
    """The learning rate whose short fits do best on what they have not seen, or one no worse by the folds' own scatter.

    From `START` it goes up or down by factors of 10 for as long as the mean loss of the held-out examples falls, and
    then tries half a decade and a quarter of one to either side of the best. Of all the rates whose loss exceeds the
    best by no more than one standard error of that difference over the folds, the nearest to `START` is taken.

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
            best -= step  # diverged all around: to where steps are shorter
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
    """In three digits, so that the rate that is shown is the one that was used."""
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
    loss = scorer.loss(scorer.scores(fold.held_out, *trainer.snapshot()), fold.held_out.labels)
    return loss if math.isfinite(loss) else math.inf


def _ties(losses: NDArray[np.float64], lowest: NDArray[np.float64]) -> bool:
    if not np.isfinite(losses).all():
        return False
    excess = losses - lowest
    return bool(excess.mean() <= excess.std(ddof=1) / math.sqrt(len(excess)))
