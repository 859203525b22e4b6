"""Rows that a row-sparse gradient does not name, under hyperparameters that move them all the same.

With `lazy="exact"`, a step does not touch such rows. It is noted how many steps each row lags behind, and the row is
caught up in closed form before it is next read or stepped.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from ..kernels.rules import places, trait
from .options import Rule, Settings
from .tuning import Cell, by_rate, span, wants_constant_rate

LEAST_FACTOR = -200.0  # logarithm of the factor a tensor has shrunk by since marks began: below, marks lose digits


def moves_unnamed(settings: Settings) -> bool:
    """Whether an element with a gradient of 0 moves, or its slots change."""
    o = settings.options
    if not trait(settings.form, "rests") or (places(settings.form) and settings.scheduled):
        return True
    return bool(o.momentum or o.weight_decay or o.decoupled_weight_decay or o.l1 or o.l2)


def _by_history(settings: Settings, kind: str) -> bool:
    """Whether the denominator H changes in steps that an element misses, and matters to that element."""
    o = settings.options
    return kind == "tensor" and settings.motion == "plain" and bool(o.l1 or o.l2 or settings.scheduled)


def refusal(settings: Settings, kind: str, learning_rate: float) -> str | None:
    """Why missed steps have no closed form; None if they have one."""
    o = settings.options
    decay = o.decoupled_weight_decay
    if not trait(settings.form, "rests"):
        return (
            f"{settings.rule.name.upper()} changes what it keeps of a row, and moves it, also where its gradient is 0"
        )
    if places(settings.form) and settings.scheduled:
        return f"{settings.rule.name.upper()} moves every row when the learning rate changes"
    if o.weight_decay:
        return (
            "weight_decay gives a row a gradient that changes its accumulator even when nothing names it; use "
            "decoupled_weight_decay or l2"
        )
    if decay and learning_rate * decay >= 1:
        return f"learning_rate * decoupled_weight_decay is {learning_rate * decay:g}, and must be below 1"
    if settings.scheduled and not _by_history(settings, kind):
        return wants_constant_rate(settings)
    return None


def no_closed_form(name: str, reason: str) -> ValueError:
    return ValueError(
        f"gradient of {name!r} is sparse, but with lazy='exact' the rows that it does not name have to be caught "
        f"up, and there is no closed form: {reason}; or choose lazy='touched' or 'dense'"
    )


class Lagging(ABC):
    """Notes on how far each row of one parameter lags behind, and how to catch it up."""

    def __init__(self, rule: Rule, settings: Settings, kind: str) -> None:
        self._rule, self._settings, self._kind = rule, settings, kind
        self.by_history = _by_history(settings, kind)
        self.marked = self.by_history or settings.scheduled
        self._now = self._since = 0  # steps so far, and steps so far when all rows were last caught up
        self._totals, self._totals_after = np.zeros(2), np.zeros(2)
        self._coming, self.exact = np.zeros((2, len(rule.Scalars._fields)))
        self.refusal: str | None = None  # why the coming step leaves no closed form
        self.behind = False

    def bridge(self, settings: Settings, threads: int) -> None:
        """Prepare for other settings, which `take_settings` then takes.

        Rows are caught up only if the steps missed so far and those to come have no common closed form.
        """
        if self.behind:
            how = span(self._settings, settings, self.by_history)
            if how == "marks" and not self.marked:
                self._begin_marks(threads)
            elif how == "catch up":
                self.catch_up_all(threads)

    def take_settings(self, settings: Settings) -> None:
        """Use other settings from the next step on."""
        self._settings = settings

    def rate_cells(self) -> list[Cell]:
        """Those of the coming step's scalars that depend on the learning rate."""
        fields = self._rule.Scalars._fields
        return [Cell(self._coming, fields.index(name), *line) for name, line in by_rate(self._settings.options).items()]

    def set_scalars(self, t: int, asked: dict[int, float]) -> None:
        """Note the scalars of step t, which comes next."""
        self._coming[...] = self._settings.scalars(t, asked)
        self.refusal = refusal(self._settings, self._kind, self._settings.learning_rate_at(t, asked))

    def begin(self, G: Any) -> None:
        """Form the totals with the coming step; G is the accumulator, if all elements share it and `by_history`."""
        self.exact[...] = self._coming
        s = self._rule.Scalars(*self.exact.tolist())
        if self.by_history:
            self._totals_after[...] = self._after_shrinking(s, float(G))
        elif self.marked:
            self._totals_after[0] = self._totals[0] + s.l1_step
            self._totals_after[1] = self._totals[1] + (math.log(s.keep) if s.keep != 1 else 0.0)

    def _after_shrinking(self, s: Any, G: float) -> tuple[float, float]:
        """Logarithm of the factor, and the sum, by which p has shrunk since the marks began: to factor*(p - sum).

        One more step of |p| <- (keep*|p| - a*l1/H) / (1 + a*l2/H) is put into both.
        """
        log_factor, total = self._totals.tolist()
        log_factor += math.log(s.keep) if s.keep != 1 else 0.0
        if G == 0:  # without a metric nothing is penalised
            return log_factor, total
        H = float(self._settings.form.scale((G,), s))
        log_shrunk = -math.log1p(s.l2_step / H)
        total += s.l1_step / H * math.exp(-log_factor)
        return log_factor + log_shrunk, total

    def end(self, threads: int) -> None:
        """Count the step that has been made."""
        self._now += 1
        self._totals[...] = self._totals_after
        self.behind = True
        if self.by_history and self._totals[0] < LEAST_FACTOR:
            self.catch_up_all(threads)

    def catch_up_all(self, threads: int) -> None:
        """Catch every row up."""
        if self.behind:
            self._catch_up_every_row(threads)
            self.behind = False
            self._totals[...] = 0
            self._since = self._now

    @abstractmethod
    def _begin_marks(self, threads: int) -> None:
        """Keep marks from now on, as scalars begin to change; all steps so far had the same scalars."""

    @abstractmethod
    def _catch_up_every_row(self, threads: int) -> None:
        """Catch every row up, and set its marks to 0."""
