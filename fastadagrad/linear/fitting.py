"""One fit of a linear model, from checked arguments and examples to weights for the unscaled features.

With many features, arrays that have a number for each feature take most of the memory. So no such array is held that is
not in use: the sizes by which sparse features are scaled are measured again at the end, and the finished weights are
written over them.
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
from ..engine.missed import moves_unnamed
from ..engine.options import Conduct, Settings
from ..support.stopping import Patience
from . import rate_trials, scaling, targets
from .averaging import Average, AveragingTrainer, Mean, average_of, mean_of, take_over
from .divided import ALONE, Processes
from .epochs import NON_FINITE, Outcome, Run, Watcher, reporting
from .fit_checkpoints import FitCheckpoints, Taken, about_examples, about_parameters, about_targets, checksum
from .methods import TUNED, finds_rate, implicit_refusal, missed_steps_refusal
from .scaling import Scaling
from .splits import rows_of, split, without_weightless
from .targets import Targets
from .training import Examples, Trained, Trainer, as_examples, bytes_a_feature
from .unscaling import Weights, unscaled, unscaled_aside
from .visits import Visits, visits_of
from .visits import by_content as by_content_of

FEWEST_EPOCHS, MOST_EPOCHS, ENOUGH_UPDATES = 10, 50, 10_000
Progress = bool | Callable[..., Any]
Unscale = Callable[[Weights], Weights]


class State(NamedTuple):
    """The state from which a fit goes on, if it does not begin anew."""

    trained: Trained
    scaling: Scaling
    targets: Targets
    method: str
    slots: tuple[str, ...]
    intercept: bool
    learning_rate: float  # which is found once only, where it is found by trials
    means: tuple[Mean, ...] = ()  # with which averaging goes on


class Fit(NamedTuple):
    """The result of a fit."""

    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]
    targets: Targets
    learning_rate: float
    outcome: Outcome
    values: int  # number of features stored in the examples trained on
    state: State | None  # None if it was not wanted


def fit(
    p: Mapping[str, Any],
    settings: Settings,
    conduct: Conduct,
    table: Table,
    valid: Any,
    progress: Progress,
    *,
    chosen: Targets | None = None,
    start: State | None = None,
    keeps: bool = False,
    by_content: bool = False,
    watched: Callable[[Unscale], Watcher] | None = None,
    files: FitCheckpoints | None = None,
    processes: Processes = ALONE,
) -> Fit:
    """Train with a model's parameters `p` on the rows of a table that are not set aside for validation.

    Parameters
    ----------
    chosen : Targets, optional
        Loss and classes; by default they follow from the labels.
    start : State, optional
        The state to go on from; by default the fit begins anew.
    keeps : bool
        Whether the state in which the fit ends is wanted.
    by_content : bool
        Whether the first order of the examples, and the choice of those that are set aside or tried on, depend on their
        contents, and not on their order in the table.
    watched : callable, optional
        Makes the `Watcher` of the run, given a function that makes weights for the unscaled features from those in
        training.
    files : FitCheckpoints, optional
        Checkpoints to write and, if there is one to begin with, to go on from.
    processes : Processes
        Those that divide each batch; all are given the same.
    """
    _refuse_no_features(table)
    if start is not None:
        chosen, settings = continued(start, p, settings)
    chosen = chosen or targets.choose(p["loss"], table.labels, p)
    table = _filled(without_weightless(table), p, start)
    lazy = lazy_of(p, settings, isinstance(table.features, CSR))
    if isinstance(table.features, CSR):
        how = p["batch_size"], lazy, p["dtype"], means_kept(p, settings, table.features.shape[1])
        check_width(table.features, bytes_a_feature(chosen.outputs, settings, *how))
    taken = None if files is None else files.taken
    seeks = start is None and _seeks_rate(p, settings, len(table.labels))
    if by_content and (valid or seeks):  # else no examples are drawn, and nothing is copied
        table = rows_of(table, _in_order_of_content(table, chosen))
    table, held_out = split(table, valid, p["seed"], chosen)
    if p["scale"] != "none" and p["intercept"] and start is None:
        chosen = chosen.standardised(table.labels, table.weights)
    visits = visits_of(len(table.labels), table.weights)
    order = _order(table, chosen, visits) if by_content else visits.order
    epochs = p["max_epochs"] or min(max(FEWEST_EPOCHS, -(-ENOUGH_UPDATES // len(order))), MOST_EPOCHS)
    measure = partial(scaling.measure, p["scale"], table.features, p["intercept"], table.weights)
    prepare = partial(_prepare, measure() if start is None else start.scaling, chosen, p["dtype"])
    examples = prepare(replace(table, weights=visits.importance))
    judges = None if held_out is None else prepare(held_out, unknown=True)
    if files is not None or processes.several:
        about = {name: about_examples(each) for name, each in (("examples", table), ("valid", held_out))}
        about["labels"] = about_targets(chosen)
        processes.refuse_others(about | about_model(p, start))
        if files is not None:
            files.compare(**about)
    folds: list[rate_trials.Fold] = []
    if taken is not None:
        settings = with_rate(settings, taken.learning_rate)
    elif seeks and processes.leads:
        folds = rate_trials.make_folds(table, chosen.groups(table.labels), prepare, epochs, p["seed"])
    reused = start is not None or keeps or watched is not None or not isinstance(table.features, CSR)
    scale = prepare.args[0] if reused else None
    del prepare
    trainer_of = _trainers(p, settings, chosen, lazy, table)
    average = average_of(p["average"], settings, table.features.shape[1])
    if taken is None and seeks:
        tried = partial(_tried_rate, p, settings, folds, partial(_averaged, trainer_of, average), chosen)
        settings = with_rate(settings, processes.of_leader(tried))
    begun = start.trained if start is not None else None
    trainer_of = _trainers(p, settings, chosen, lazy, table, processes.trainer)
    trainer = trainer_of(examples, settings, start=begun if taken is None else taken.trained)
    rng = _orders(p, 0 if begun is None else begun.steps)
    with reporting(progress, epochs, len(order), processes.leads) as (report, tell), processes.training():
        runner = _averaging(trainer, average, () if start is None or taken is not None else start.means)
        run = Run(runner, judges, Patience(conduct.patience, conduct.min_improvement), processes.scorer(chosen))
        if files is not None and taken is not None:
            _restore(run, runner, taken)
            files.taken = taken = None  # and with it the memory of its arrays
        watcher = watched(partial(unscaled_aside, scale, chosen)) if watched is not None and scale else None
        outcome = run.run(epochs, order, rng, report, processes.told(tell, answers=True), watcher, files)
    del run
    rate, state = settings.learning_rate_at(0), start
    if keeps and scale is not None and outcome.ended_by != NON_FINITE:
        means = _go_on_from(runner, outcome)
        of_model = settings.rule.name, settings.slots, p["intercept"], rate
        state = State(trainer.trained, scale.copy(), chosen, *of_model, means)
    del trainer, runner
    return Fit(
        *unscaled(outcome.weights, scale or measure(), chosen), chosen, rate, outcome, examples.values.size, state
    )


def about_model(p: Mapping[str, Any], start: State | None) -> dict[str, Any]:
    """What tells a model, and the state that its fit goes on from, apart from others; by words for them."""
    about: dict[str, Any] = {"the parameters of the model": about_parameters(p)}
    if start is not None:
        weights, intercept, steps = start.trained
        state = checksum(weights.p, *weights.slots, intercept.p, *intercept.slots)
        about["the state to go on from"] = [steps, state]
    return about


def _refuse_no_features(table: Table) -> None:
    rows, width = table.features.shape
    if not width:
        raise ValueError(
            f"X has nothing to learn from: 0 feature(s) (shape=({rows}, 0)) while a minimum of 1 is required"
        )


def _trainers(
    p: Mapping[str, Any],
    settings: Settings,
    chosen: Targets,
    lazy: str,
    table: Table,
    trainer: Callable[..., Trainer] = Trainer,
) -> Callable[..., Trainer]:
    """What makes the trainers of a fit, of the fit itself and of trials, from examples and settings."""
    return partial(
        trainer,
        features=table.features.shape[1],
        targets=chosen,
        batch_size=p["batch_size"],
        lazy=lazy,
        intercept=p["intercept"],
        implicit=is_implicit(p, settings, lazy, isinstance(table.features, CSR)),
    )


def _tried_rate(
    p: Mapping[str, Any],
    settings: Settings,
    folds: list[rate_trials.Fold],
    trainer_of: rate_trials.MakeTrainer,
    chosen: Targets,
) -> float:
    asked = p["learning_rate"] is not None
    patience = partial(Patience, p["patience"], p["min_improvement"])
    return rate_trials.search(folds, trainer_of, settings, chosen.heavy_tails, patience, asked=asked)


def _restore(run: Run, runner: Trainer | AveragingTrainer, taken: Taken) -> None:
    """Let a run and the means of its weights go on from a checkpoint."""
    if isinstance(runner, AveragingTrainer):
        runner.restore(taken.means, taken.header["visits"])
    run.restore(taken)


def _seeks_rate(p: Mapping[str, Any], settings: Settings, examples: int) -> bool:
    """Whether the learning rate is to be found by trial, for which one example does not do."""
    wanted = finds_rate(p["learning_rate"], settings.rule.name)
    return wanted and (examples > 1 or p["learning_rate"] is not None)  # what was asked for is refused, not left out


def _filled(table: Table, p: Mapping[str, Any], start: State | None) -> Table:
    """The examples with dense features, where these are to be standardised; else as they are."""
    if start is not None and start.scaling.shift is not None:
        return replace(table, features=scaling.as_dense(table.features))
    if start is not None or p["scale"] != "auto":
        return table
    return replace(table, features=scaling.without_zeros_left_out(table.features))


def continued(start: State, p: Mapping[str, Any], settings: Settings) -> tuple[Targets, Settings]:
    """The targets and the settings with which training goes on from a state.

    Raises
    ------
    ValueError
        If a parameter that decides what the state consists of is another one than when training began.
    """
    slots, slots_now = ", ".join(start.slots), ", ".join(settings.slots)
    for name, before, now in (
        ("method", start.method, settings.rule.name),
        ("loss", start.targets.loss, p["loss"]),
        ("slots", slots, slots_now),
        ("intercept", str(start.intercept), str(p["intercept"])),
    ):
        if now not in (before, "auto"):
            why = ", by momentum or an option of the method" if name == "slots" else ""
            raise ValueError(
                f"training goes on with {name} {before!r}, with which it began, and {name} is {now!r} now{why}: "
                "begin with a new model"
            )
    chosen = replace(start.targets, option=targets.option_of(start.targets.loss, p))
    found = finds_rate(p["learning_rate"], settings.rule.name)
    return chosen, with_rate(settings, start.learning_rate) if found else settings


def with_rate(settings: Settings, rate: float) -> Settings:
    return replace(settings, options=replace(settings.options, learning_rate=rate))


def _order(table: Table, chosen: Targets, visits: Visits) -> NDArray[np.int64]:
    """The visits in an order that depends on the contents of the examples."""
    examples = _in_order_of_content(table, chosen)
    counts = np.bincount(visits.order, minlength=len(examples))[examples]
    return np.repeat(examples, counts)


def _in_order_of_content(table: Table, chosen: Targets) -> NDArray[np.int64]:
    labels = table.labels if chosen.classes is None else chosen.groups(table.labels)
    return by_content_of(table.features, labels, table.weights)


def _orders(p: Mapping[str, Any], steps: int) -> np.random.Generator | None:
    """The generator from which the order of each epoch is drawn; None if examples are not shuffled.

    `steps` is the number of steps before a fit that goes on, so that its orders differ from those before.
    """
    return np.random.default_rng([p["seed"], 1, *([steps] if steps else [])]) if p["shuffle"] else None


def of_one_part(p: Mapping[str, Any], settings: Settings, start: State | None) -> dict[str, Any]:
    """Parameters for one epoch of one part of the examples, of which more will come.

    What is found from all of the examples, such as the learning rate, cannot be found then. A rate that a fit before
    has found stays.
    """
    rate = settings.learning_rate_at(0) if p["learning_rate"] is None and start is None else p["learning_rate"]
    scale = "none" if p["scale"] == "auto" else p["scale"]
    average = False if p["average"] == "auto" else p["average"]
    return {**p, "max_epochs": 1, "scale": scale, "average": average, "learning_rate": rate}


def means_kept(p: Mapping[str, Any], settings: Settings, width: int) -> int:
    """How many means of weights an average takes, 0 if there is none: one of all epochs, or one of each of the last."""
    average = average_of(p["average"], settings, width)
    return 0 if average is None else min(average.last or 1, p["max_epochs"] or MOST_EPOCHS)


def is_implicit(p: Mapping[str, Any], settings: Settings, lazy: str, sparse: bool) -> bool:
    """Whether steps are implicit: unless it is said, those of ADAGRAD are where they can be."""
    steps_all = sparse and lazy == "dense" and moves_unnamed(settings)
    if p["implicit"] and steps_all:
        raise ValueError('implicit=True steps the features of an example alone, and lazy="dense" steps all of them')
    if p["implicit"] is not None:
        return bool(p["implicit"])
    return settings.rule.name in TUNED and not steps_all and implicit_refusal(settings, p["batch_size"]) is None


def _averaged(
    trainer_of: Callable[..., Trainer], average: Average | None, examples: Examples, settings: Settings
) -> Trainer | AveragingTrainer:
    return _averaging(trainer_of(examples, settings), average, ())


def _averaging(trainer: Trainer, average: Average | None, means: tuple[Mean, ...]) -> Trainer | AveragingTrainer:
    if average is not None:
        return AveragingTrainer(trainer, average, means)
    if means:  # no average any more: training goes on from the last one
        take_over(trainer.parameters, mean_of(means, trainer.parameters[0].dtype))
    return trainer


def _go_on_from(trainer: Trainer | AveragingTrainer, outcome: Outcome) -> tuple[Mean, ...]:
    """Let training go on from the weights that were kept; returns the means, if weights are averaged."""
    if isinstance(trainer, AveragingTrainer):
        return trainer.go_on_from(outcome.weights, outcome.best_epoch)
    take_over(trainer.parameters, outcome.weights)
    return ()


def lazy_of(p: Mapping[str, Any], settings: Settings, sparse: bool) -> str:
    lazy = str(p["lazy"])
    reason = missed_steps_refusal(settings) if sparse and lazy == "exact" else None
    if reason is not None:
        raise ValueError(reason)
    return lazy


def _prepare(scale: Scaling, chosen: Targets, dtype: Any, table: Table, unknown: bool = False) -> Examples:
    labels = chosen.encode(table.labels, dtype, unknown=unknown)
    features = table.features if scale.shift is None else scaling.as_dense(table.features)
    return as_examples(scale.apply(features, dtype), labels, table.weights)


def check_width(features: CSR, bytes_each: int) -> None:
    """Refuse a sparse matrix with more columns than there is memory for, at `bytes_each` bytes a column.

    Raises
    ------
    ValueError
        If memory does not suffice; the message names the largest column, its row, and a number of hash bits that fits.
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
