"""The search for a linear model's learning rate by trials: fits to some examples, judged by other examples."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.tables import Table
from ..engine.options import Settings
from ..kernels.linear.content import keys_of_rows
from ..support.log import logger
from ..support.stopping import Patience
from .averaging import AveragingTrainer
from .methods import START
from .scaling import exponents_of
from .splits import in_proportion, rows_of
from .training import Examples, Scorer, Trainer, importance_of
from .visits import visits_of

DECADES = 6  # factors of 10 by which the search goes up or down from START, at most
STEP = 0.5  # of the search, in decades
MOST_EXAMPLES = 10_000
# Folds of a trial, by the number of examples: a large part that is held out once judges as well as many small ones.
FOLDS = ((2_000, 5), (5_000, 3), (MOST_EXAMPLES, 1))
HELD_OUT = 5  # a fold holds out one in so many examples, or one in the number of folds
FEW = 10  # visits to a row, on average, above which there are but few different rows
GROUPS = 20  # parts of the held-out examples, whose losses show how sure a difference of two rates is
JUDGED_AFTER = 50  # epochs, from which on a trial also ends where its held-out examples gain no more
MOST_EPOCHS = 200  # of a trial, however many the fit may have
TRIMMED = 0.1  # share of the parts that a trimmed mean leaves out at either end

Prepare = Callable[[Table], Examples]
AnyTrainer = Trainer | AveragingTrainer
MakeTrainer = Callable[[Examples, Settings], AnyTrainer]


class Fold(NamedTuple):
    """The examples that one of a trial's fits trains on, and the examples that judge it."""

    fitted: Examples
    orders: list[NDArray[np.int64]]  # one an epoch; where there are more epochs, they come round again
    held_out: list[Examples]  # in parts
    rows: int  # different ones that fitted and held_out visit
    epochs: int  # at most


def make_folds(table: Table, groups: NDArray[np.int64], prepare: Prepare, epochs: int, seed: int) -> list[Fold]:
    """Folds of at most MOST_EXAMPLES of the visits to examples, for trials of at most as many epochs as the fit has.

    A fold holds out its share of every group. The only example of a group is never held out, as a fit without it could
    not know its class. Visits are dealt rather than examples, so that an example of weight 3 gives the folds that three
    such examples give.

    Raises
    ------
    ValueError
        If there are fewer than two examples.
    """
    if len(table.labels) < 2:
        raise ValueError(f"learning_rate='auto' takes two examples or more, got {len(table.labels)}: give a number")
    visits = visits_of(len(table.labels), table.weights)
    rng = np.random.default_rng([seed, 2])
    order = visits.order[rng.permutation(len(visits.order))]
    chosen = order[in_proportion(groups[order], min(len(order), MOST_EXAMPLES), spare=0)]
    count = next((folds for most, folds in FOLDS if len(chosen) <= most), 1)
    visited = rows_of(table, chosen)
    fold_of = _deal(groups[chosen], _kinds(visited), count if count > 1 else HELD_OUT)
    if visits.importance is not None or visited.weights is not None:
        visited = replace(visited, weights=None if visits.importance is None else visits.importance[chosen])
    fitted, folds, rows = prepare(visited), [], len(np.unique(chosen))
    for fold in range(min(count, int(fold_of.max()) + 1)):
        orders = [rng.permutation(np.flatnonzero(fold_of != fold)) for _ in range(min(epochs, JUDGED_AFTER))]
        held_out = np.flatnonzero(fold_of == fold)
        parts = np.array_split(held_out, min(len(held_out), max(GROUPS // count, 1)))
        by_part = [prepare(rows_of(visited, part)) for part in parts]
        folds.append(Fold(fitted, orders, by_part, rows, min(epochs, MOST_EPOCHS)))
    return folds


def _kinds(visited: Table) -> NDArray[np.int64]:
    """Numbers from 0 on, in the order in which they first occur, of the visits whose rows are to be held out together.

    Visits to rows with equal features are, so that none judges what it trains. If there are but few different rows,
    each visit is held out by itself: else there would be little to learn of the rows that are held out.
    """
    n = len(visited.labels)
    _, first, kind = np.unique(keys_of_rows(visited.features, np.zeros(n)), return_index=True, return_inverse=True)
    if len(first) * FEW < n or len(first) < 2:
        return np.arange(n)
    numbers = np.empty(len(first), np.int64)
    numbers[np.argsort(first)] = np.arange(len(first))
    return numbers[kind]


def _deal(groups: NDArray[np.int64], kinds: NDArray[np.int64], folds: int) -> NDArray[np.int64]:
    """The fold, of so many, that holds each visit out, or -1 if none does; every fold has its share of each group.

    Visits of a kind are held out together, and count in the group of the first of them.
    """
    pairs = np.unique(np.column_stack([groups, kinds]), axis=0)
    _, group, sizes = np.unique(pairs[:, 0], return_inverse=True, return_counts=True)
    held_out = np.ones(int(kinds.max()) + 1, np.bool)
    held_out[pairs[sizes[group] == 1, 1]] = False  # the only ones of their group
    if not held_out.any():
        held_out[:] = True
    group_of = groups[np.unique(kinds, return_index=True)[1]]
    dealt = np.argsort(group_of, kind="stable")
    dealt = dealt[held_out[dealt]]
    fold_of = np.full(len(held_out), -1)
    fold_of[dealt] = np.arange(len(dealt)) % min(folds, len(dealt))
    return fold_of[kinds]


def search(
    folds: list[Fold],
    trainer_of: MakeTrainer,
    settings: Settings,
    heavy_tails: bool,
    patience: Callable[[], Patience],
    *,
    asked: bool = True,
) -> float:
    """The learning rate whose fits have the lowest loss on held-out examples, or one that is as good.

    The search goes from `START` up or down by half decades for as long as the mean loss of the held-out examples falls.
    Of all the rates whose loss exceeds the lowest by no more than one standard error of that difference, the nearest to
    `START` is taken. If that is the last rate that may be tried, the log says so: as a warning if the user has `asked`
    for a search. With `heavy_tails`, means are trimmed, so that no outlier among the held-out labels decides.

    A trial has as many epochs as the fit may have, up to `JUDGED_AFTER`. From then on it ends when the loss of its
    held-out examples has not improved for longer than the `patience` of the fit, of which each call makes a new one,
    and after `MOST_EPOCHS` in any case: so trials take seconds before a fit to few examples, however long it may be.

    Raises
    ------
    ValueError
        If no rate gives finite losses.
    """
    found: dict[float, NDArray[np.float64]] = {}  # by decades above START

    def losses(decades: float) -> NDArray[np.float64]:
        if decades not in found:
            found[decades] = _losses(folds, trainer_of, settings, _rate(decades), patience)
        return found[decades]

    def diverges(decades: float) -> bool:
        return not np.isfinite(losses(decades)).all()

    def is_lower(decades: float, other: float) -> bool:
        if diverges(decades) or diverges(other):
            return not diverges(decades)
        return _excess(losses(decades), losses(other), heavy_tails)[0] < 0

    def ties(decades: float, lowest: float) -> bool:
        if diverges(decades):
            return False
        mean, error = _excess(losses(decades), losses(lowest), heavy_tails)
        return mean <= error

    best = 0.0
    for each in (-STEP, STEP):
        best = each if is_lower(each, best) else best
    while 0 < abs(best) < DECADES or diverges(best):
        further = best - STEP if diverges(best) else best + math.copysign(STEP, best)
        if abs(further) > DECADES or not (diverges(best) or is_lower(further, best)):
            break
        best = further
    if diverges(best):
        raise ValueError(
            f"learning_rate='auto' finds no rate down to {_rate(best):g} at which training does not diverge: "
            "scale X and y, or use scale='auto'"
        )
    chosen = min((each for each in found if ties(each, best)), key=abs)
    rate = _rate(chosen)
    if abs(chosen) >= DECADES:
        message = "learning rate %g is the last that was tried: is there something to learn, or is X scaled badly?"
        logger.log(logging.WARNING if asked else logging.INFO, message, rate)
    logger.info("learning rate %g, by %d trials on %d examples", rate, len(found), folds[0].rows)
    return rate


def _rate(decades: float) -> float:
    """The rate that is so many decades above START, rounded to three digits, so that it is shown as it is used."""
    return float(f"{START * 10.0**decades:.3g}")


def _losses(
    folds: list[Fold], trainer_of: MakeTrainer, settings: Settings, rate: float, patience: Callable[[], Patience]
) -> NDArray[np.float64]:
    """Mean loss of each part of the held-out examples, infinite where training diverges."""
    options = replace(settings.options, learning_rate=rate)
    if rate * options.decoupled_weight_decay >= 1:  # weights would change sign
        return np.full(sum(len(fold.held_out) for fold in folds), np.inf)
    settings = replace(settings, options=options)
    trained = (_losses_of(fold, trainer_of(fold.fitted, settings), patience()) for fold in folds)
    return np.concatenate(list(trained))


def _losses_of(fold: Fold, trainer: AnyTrainer, patience: Patience) -> NDArray[np.float64]:
    """Mean loss of each part of a fold's held-out examples, after as many epochs as there are, or as patience bears."""
    for epoch in range(fold.epochs):
        if not math.isfinite(trainer.epoch(fold.orders[epoch % len(fold.orders)])):
            return np.full(len(fold.held_out), np.inf)
        if epoch >= JUDGED_AFTER:
            losses = _judged(fold, trainer)
            with np.errstate(over="ignore"):  # an infinite mean is no improvement
                patience.update(float(losses.mean()))
            if patience.elapsed or epoch == fold.epochs - 1:
                return losses
    return _judged(fold, trainer)


def _judged(fold: Fold, trainer: AnyTrainer) -> NDArray[np.float64]:
    scorer = Scorer(trainer.targets)
    losses = [
        scorer.loss(scorer.scores(part, *trainer.parameters), part.labels, importance_of(part))
        for part in fold.held_out
    ]
    return np.nan_to_num(losses, nan=np.inf, posinf=np.inf)


def _excess(losses: NDArray[np.float64], others: NDArray[np.float64], heavy_tails: bool) -> tuple[float, float]:
    """The mean by which finite losses exceed others, and the standard error of that mean.

    Both are divided by one power of two, so that no square overflows: it is their signs and their order that matter.
    With `heavy_tails` the mean is a trimmed one, and the error that of Tukey and McLaughlin (1963).
    """
    excess = np.sort(losses - others)
    excess = np.ldexp(excess, -exponents_of(np.abs(excess).max()))
    n, cut = len(excess), int(TRIMMED * len(excess)) if heavy_tails else 0
    mean = float(excess[cut : n - cut].mean())
    if n == 1:
        return mean, 0.0
    winsorised = np.clip(excess, excess[cut], excess[n - 1 - cut])
    return mean, float(winsorised.std(ddof=1)) / math.sqrt(n) / (1 - 2 * cut / n)
