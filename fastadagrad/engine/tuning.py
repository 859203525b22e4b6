"""Changes of hyperparameters between steps: which of them need another plan, and which only change numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from ..kernels.rules import trait
from .options import Conduct, Options, Settings

# Options that do nothing at 0.
SWITCHES = ("weight_decay", "decoupled_weight_decay", "l1", "l2", "max_gradient_elem", "max_gradient_norm")
OF_MISSED_STEPS = ("learning_rate", "lr_decay", "decoupled_weight_decay", "l1", "l2")

Span = Literal["alike", "marks", "catch up"]


def only_numbers(old: Sequence[Settings], new: Sequence[Settings]) -> bool:
    """Whether parameters are stepped by the same drivers in the same units as before."""
    pairs = {(id(a), id(b)): (a, b) for a, b in zip(old, new, strict=True)}.values()
    return all(_structure(a) == _structure(b) for a, b in pairs)


def _structure(settings: Settings) -> tuple[Any, ...]:
    """What a plan depends on in the settings of a parameter."""
    o = settings.options
    switches = [getattr(o, name) != 0 for name in SWITCHES]
    form = settings.form, settings.motion, settings.scheduled, settings.rate_changes
    return (*form, o.accumulator, o.lazy, o.frozen, *switches)


def same_conduct(old: Conduct, new: Conduct) -> bool:
    """Whether a plan that was made for one conduct serves the other as well."""
    alike = (old.nonfinite, old.deferred, old.threads) == (new.nonfinite, new.deferred, new.threads)
    return alike and (old.max_global_norm == 0) == (new.max_global_norm == 0)


def wants_constant_rate(settings: Settings) -> str | None:
    """Why missed steps have no closed form if the learning rate changes between them; None if they have one."""
    o = settings.options
    if o.l2:
        return "l2 needs a constant learning rate; use decoupled_weight_decay"
    if o.decoupled_weight_decay and o.momentum:
        return "momentum with decoupled_weight_decay needs a constant learning rate"
    if o.decoupled_weight_decay and o.l1:
        return "l1 with decoupled_weight_decay needs a constant learning rate"
    return None


def span(old: Settings, new: Settings, by_history: bool) -> Span:
    """How steps missed before a change of settings, and steps missed after it, are caught up together.

    "alike": by the notes that there are anyway. "marks": by marks, the sums that had been reached when each row was
    last caught up. "catch up": not at all, so that rows have to be caught up before the change. `by_history` says that
    marks are kept in any case, with the H of every step.
    """
    o, n = old.options, new.options
    if o.momentum != n.momentum:
        return "catch up"
    if by_history or not (o.l1 or o.l2 or o.decoupled_weight_decay):
        return "alike"
    if (o.l1 or o.l2) and old.own != new.own:  # H, which weighs the penalties, depends on the method's own
        return "catch up"
    if all(getattr(o, name) == getattr(n, name) for name in OF_MISSED_STEPS):
        return "alike"
    return "catch up" if wants_constant_rate(old) else "marks"


class Cell(NamedTuple):
    """A scalar that is `base` + `factor` * the learning rate, where ``memory[index] = value`` sets it."""

    memory: Any
    index: Any
    base: float
    factor: float


class OwnCells(NamedTuple):
    """The method's own scalars at some rows, in ``memory[row + i]``, which are formed anew when a rate is set."""

    memory: Any
    rows: list[int]
    settings: Settings
    late: int

    def write(self, rate: float) -> None:
        values = self.settings.rule.scalar_values(self.settings.own, rate, -self.late)
        for row in self.rows:
            for i, value in enumerate(values, row):
                self.memory[i] = value


def by_rate(options: Options) -> dict[str, tuple[float, float]]:
    """Base and factor of each scalar of all methods that depends on the learning rate."""
    all_of_them = {
        "learning_rate": (0.0, 1.0),
        "keep": (1.0, -options.decoupled_weight_decay),
        "l1_step": (0.0, options.l1),
        "l2_step": (0.0, options.l2),
    }
    return {name: (base, factor) for name, (base, factor) in all_of_them.items() if factor}


RateRange = tuple[float, float]  # lowest and highest; a plain tuple, as unpacking a named one takes twice as long
NO_RATES: RateRange = (0.0, -1.0)


class Behind(Protocol):
    """What `rate_range` asks of rows that lag behind: how the steps that they missed are noted."""

    @property
    def by_history(self) -> bool: ...
    @property
    def marked(self) -> bool: ...
    @property
    def refusal(self) -> str | None: ...


def rate_range(settings: Settings, dtype: np.dtype[Any], lagging: Behind | None) -> RateRange:
    """Learning rates that need no other plan and no other state, and no catching up of rows that lag behind."""
    o = settings.options
    if callable(o.learning_rate) or "learning_rate" in trait(settings.rule, "fixed"):
        return NO_RATES
    lowest, limit = 0.0, float(np.finfo(dtype).max)
    if trait(settings.form, "rate_divides"):
        lowest = float(np.finfo(dtype).tiny)
    largest = max(o.decoupled_weight_decay, o.l1, o.l2)
    if largest > 1:
        limit *= 0.999 / largest
    if lagging is None or settings.scheduled or not largest:
        return lowest, limit
    spanned = lagging.by_history or (lagging.marked and not wants_constant_rate(settings))
    if not spanned or lagging.refusal:
        return NO_RATES
    if o.decoupled_weight_decay:
        limit = min(limit, 0.999 / o.decoupled_weight_decay)
    return lowest, limit


class _Unknown:
    """A stand-in for a learning rate with which nothing can be computed, to see whether scalars depend on it."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise TypeError("the learning rate is not known")

    def __bool__(self) -> bool:
        raise TypeError("the learning rate is not known")


def own_scalars_are_apart(settings: Settings) -> bool:
    """Whether the method's own scalars can be computed without a learning rate, so that they do not depend on it."""
    try:
        own = settings.rule.scalar_values(settings.own, _Unknown(), 0)
    except (TypeError, ValueError, AttributeError, ArithmeticError):
        return False
    return all(isinstance(value, int | float) for value in own)


def own_scalars_fit(settings: Settings, rate: float, largest: float) -> bool:
    """Whether the method's own scalars can be computed with this learning rate, none with a size above `largest`."""
    try:
        for value in settings.rule.scalar_values(settings.own, rate, 0):
            if not -largest <= value <= largest:
                return False
    except (TypeError, ValueError, ArithmeticError):
        return False
    return True
