"""The search for the learning rate of a model that is trained on a stream, by trials on rows held in memory."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ..data.tables import Table
from ..engine.options import Settings
from ..support.stopping import Patience
from .averaging import AveragingTrainer, average_of
from .fed import make_trainer
from .feeds import Preparing
from .rate_trials import make_folds, search
from .training import Examples, Trainer


def tried_rate(rows: Table, preparing: Preparing, p: Mapping[str, Any], settings: Settings, epochs: int) -> float:
    """The learning rate that trials on some rows find, as `rate_trials` says.

    A rate that the user has not asked for is not sought of a single row, for which it is that of the settings.

    Raises
    ------
    ValueError
        If a rate was asked for, and there is one row, or none gives finite losses.
    """
    asked = p["learning_rate"] is not None
    if len(rows.labels) < 2 and not asked:
        return settings.learning_rate_at(0)
    groups = preparing.targets.groups(rows.labels)
    folds = make_folds(rows, groups, preparing.examples, epochs, p["seed"])
    trainer = partial(_trainer, p, preparing)
    patience = partial(Patience, p["patience"], p["min_improvement"])
    return search(folds, trainer, settings, preparing.targets.heavy_tails, patience, asked=asked)


def _trainer(
    p: Mapping[str, Any], preparing: Preparing, examples: Examples, settings: Settings
) -> Trainer | AveragingTrainer:
    trainer = make_trainer(p, preparing, examples, settings)
    average = average_of(p["average"], settings, preparing.width)
    return trainer if average is None else AveragingTrainer(trainer, average)
