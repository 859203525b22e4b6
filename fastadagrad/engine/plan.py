"""Which units step which parameters, in as few launches as can be: the one place that chooses their drivers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..kernels.rules import trait
from .arena import Arena
from .missed import moves_unnamed
from .options import Settings
from .rows import Rows, is_sparse
from .state import kind_of
from .unit import Unit

MOST_ARRANGEMENTS = 8  # arrangements that are kept, in case gradients of the same kinds come again

Forms = dict[int, str]  # how sparse gradients are treated, by position: as "rows", as "elements" or made "dense"


class Plan:
    """How parameters at some positions are divided among units, made anew when hyperparameters change.

    Which gradients are sparse is known only when they come. So there is a division, an arrangement, for each set of
    positions with sparse gradients that has come.
    """

    def __init__(self, arena: Arena, positions: Sequence[int]) -> None:
        conduct = arena.conduct
        self._arena, self._names, self._place = arena, arena.params.names, arena.params.place
        self.active = [i for i in positions if not arena.settings[i].options.frozen]
        self._measures = bool(trait(arena.rule, "measured"))
        self._sums_all, self._watchful = conduct.max_global_norm > 0, conduct.nonfinite != "ignore"
        self._sparse_forms: dict[int, tuple[str, str]] = {}  # by position, for `Rows` and for a scipy.sparse matrix
        self._row_units: dict[tuple[int, str], Unit] = {}
        self._arrangements: dict[tuple[tuple[int, str], ...], list[Unit]] = {}

    def units(self, forms: Forms) -> list[Unit]:
        """The units that step all active parameters, given how sparse gradients are treated."""
        key = tuple(sorted(forms.items()))
        if key not in self._arrangements:
            if len(self._arrangements) == MOST_ARRANGEMENTS:
                self._arrangements.clear()
            self._arrangements[key] = self._make_units(forms)
        return self._arrangements[key]

    def all_units(self) -> Iterator[Unit]:
        """Every unit that has been made and may be used again, once."""
        units = [*self._row_units.values(), *(unit for units in self._arrangements.values() for unit in units)]
        return iter({id(unit): unit for unit in units}.values())

    def form_of(self, i: int, gradient: Any) -> str | None:
        """How a sparse gradient of the parameter at position i is treated; None if the gradient is dense."""
        if type(gradient) is np.ndarray or not is_sparse(gradient):
            return None
        self._place.check_sparse(self._names[i], gradient)
        settings = self._arena.unsettled[i]
        if i in self._arena.displaced and settings.options.lazy != "touched":
            return "dense"
        if i not in self._sparse_forms:
            if self._measures and settings.options.lazy != "dense":
                raise ValueError(
                    f"gradient of {self._names[i]!r} is sparse, but {settings.rule.name.upper()} measures every "
                    "element before each step: choose lazy='dense'"
                )
            moves = self._measures or moves_unnamed(settings)
            of_rows = "dense" if moves and settings.options.lazy == "dense" else "rows"
            by_element = self._variant(i)[0] == "element" and not moves
            self._sparse_forms[i] = of_rows, "elements" if by_element else of_rows
        of_rows, of_matrix = self._sparse_forms[i]
        return of_rows if type(gradient) is Rows else of_matrix

    def _make_units(self, forms: Forms) -> list[Unit]:
        arena, units = self._arena, list[Unit]()
        groups: dict[tuple[Any, ...], dict[int, Settings]] = {}
        for i in self.active:
            settings, array = arena.settings[i], arena.params.arrays[i]
            kind, lean = self._variant(i)
            if forms.get(i, "dense") == "dense":
                clips = settings.norm_limit > 0
                variant = kind, lean, settings.form, settings.motion, array.dtype, clips, arena.apart(i)
                groups.setdefault(variant, {})[i] = settings
            else:
                units.append(self._row_unit(i, forms[i]))
        for (kind, lean, *_), members in groups.items():
            units.append(self._place.bucket(arena.state, members, kind, lean, self._watchful))
        return units

    def _row_unit(self, i: int, form: str) -> Unit:
        arena = self._arena
        if (i, form) not in self._row_units:
            settings = arena.settings[i]
            lazily = moves_unnamed(settings) and settings.options.lazy == "exact"
            self._row_units[i, form] = self._place.row_unit(
                arena.state,
                i,
                settings,
                *self._variant(i),
                by_element=form == "elements",
                ordered=self._sums_all or settings.norm_limit > 0,
                lags=arena.lags if lazily else None,
                watchful=self._watchful,
            )
        return self._row_units[i, form]

    def _variant(self, i: int) -> tuple[str, bool]:
        """Kind of accumulator of the parameter at position i, and whether a lean driver will do."""
        settings = self._arena.settings[i]
        kind = kind_of(self._names[i], self._arena.params.arrays[i], settings)
        return kind, kind == "element" and settings.lean and not self._sums_all
