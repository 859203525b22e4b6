"""The one place that chooses drivers: how parameters are stepped, in as few launches as can be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, cast

import numpy as np

from ..device.entry import device_units
from ..host.bucket import Bucket
from ..host.launch import usable_threads
from ..host.missed import moves_unnamed
from ..host.row_unit import DenseForm, RowUnit
from ..kernels.cpu.tensors import FINITE, HEADERS, NORMS, UPDATE
from ..kernels.memory import addresses
from ..kernels.rules import trait
from ..support.interrupts import whole
from ..support.log import logger
from .arena import Arena
from .options import Settings
from .products import checked_product, is_finite
from .rows import Rows, is_sparse
from .state import kind_of
from .tuning import Cell, OwnCells, own_scalars_are_apart
from .unit import OtherKind, Unit, norm_scale

PARALLEL_FROM = 1 << 17  # elements; below, waking a second thread costs more than it saves
MOST_ARRANGEMENTS = 8  # kept for when they are needed again

Forms = dict[int, str]  # what becomes of sparse gradients, by position: "rows", "elements" or "dense"


class Plan:
    """How a set of parameters is stepped: made when hyperparameters change, used every step.

    Which gradients are sparse shows only when they come. A step whose gradients are of other kinds than those before
    it arranges the parameters anew.
    """

    def __init__(self, arena: Arena, positions: Sequence[int]) -> None:
        conduct, settings = arena.conduct, [arena.settings[i] for i in positions]
        self._arena, self._names = arena, arena.params.names
        self._global_limit, self._nonfinite = conduct.max_global_norm, conduct.nonfinite
        self._measures = bool(trait(arena.rule, "measured"))  # which sets the method's own scalars in each step
        self._fed = any(trait(s.form, "fed") for s in settings)
        self._products: Sequence[Any] = ()  # of the step under way
        self._scheduled = any(s.rate_changes if self._measures else s.scheduled for s in settings)
        self._clips = self._global_limit > 0 or any(s.norm_limit for s in settings)
        self._checks = 0 if self._nonfinite == "ignore" else FINITE
        self._guard = arena.guard
        self._threads = usable_threads(conduct.threads)
        self._idle_velocities = arena.state.idle_velocities(arena.settings, positions)
        self._active = [i for i in positions if not arena.settings[i].options.frozen]
        self._sparse_forms: dict[int, tuple[str, str]] = {}  # of Rows and of a matrix
        self._row_units: dict[tuple[int, str], Unit] = {}
        self._dense_forms: dict[int, Any] = {}
        self._arrangements: dict[tuple[tuple[int, str], ...], list[Unit]] = {}
        # Cells that a learning rate goes into, once they have been looked for: plain tuples, which unpack faster.
        self._cells: list[tuple[Any, Any, float, float]] | None = None
        self._own_cells: list[OwnCells] = []  # of methods that form scalars of their own from it
        self._rate_cell: tuple[Any, Any] | None = None  # memory and index, if it is all that the rate goes into
        self._rate_written: float | None = None
        self._stepped_in_one_call: Unit | None = None
        self._arrange({})
        if not self._scheduled:
            self._set_scalars(0, {})

    def _arrange(self, forms: Forms) -> None:
        """Divide the parameters among units, given what becomes of the sparse gradients."""
        self._arena.settle_rate()
        key = tuple(sorted(forms.items()))
        if key not in self._arrangements:
            if len(self._arrangements) == MOST_ARRANGEMENTS:
                self._arrangements.clear()
            self._arrangements[key] = self._make_units(forms)
        self._forms, self._units = forms, self._arrangements[key]
        self._stepped_densely = {i for i in self._active if forms.get(i, "dense") == "dense"}
        self._stepped_in_one_call = self._unit_of_one_call()
        self._cells = self._rate_cell = None
        self._arena.forget_rate_range()

    def _unit_of_one_call(self) -> Unit | None:
        """The only unit, if a step is one call of its driver and nothing else; None otherwise.

        Whether rows lag behind changes from step to step, and is looked at there.
        """
        else_to_do = self._forms or self._scheduled or self._clips or self._measures or self._fed
        return self._units[0] if len(self._units) == 1 and not (else_to_do or self._idle_velocities) else None

    def take_numbers(self, settings: Sequence[Settings]) -> None:
        """Go by the arena's settings of the moment, which are of the same structure as those it was made for."""
        self._global_limit = self._arena.conduct.max_global_norm
        units = [*self._row_units.values(), *(unit for units in self._arrangements.values() for unit in units)]
        for unit in {id(unit): unit for unit in units}.values():
            unit.take_settings(settings)
        self._cells = self._rate_cell = self._rate_written = None
        if not self._scheduled:
            self._set_scalars(0, {})

    def _write_rate(self, rate: float) -> None:
        """Let scalars that do not change from step to step go by a learning rate that has been set."""
        if self._cells is None:
            self._cells = [(*cell,) for cell in self._find_rate_cells()]
            alone = len(self._cells) == 1 and not self._own_cells and self._cells[0][2:] == (0.0, 1.0)
            self._rate_cell = self._cells[0][:2] if alone else None
        if self._own_cells:
            for cells in self._own_cells:
                cells.write(rate)
        for memory, index, base, factor in self._cells:
            memory[index] = base + factor * rate
        self._rate_written = rate

    def _find_rate_cells(self) -> list[Cell]:
        """Where drivers, and what lags behind, read what depends on the learning rate that `Engine.set_rate` sets."""
        arena = self._arena
        own = [arena.unsettled[i] for i in self._active]
        apart = all(s.scheduled or own_scalars_are_apart(s) for s in own)
        self._own_cells = [] if apart else [cells for unit in self._units for cells in unit.own_cells(arena.followers)]
        cells = [cell for unit in self._units for cell in unit.rate_cells(arena.followers)]
        lags = [arena.lags[i] for i in self._active if i in arena.lags and i in arena.followers]
        return cells + [cell for lagging in lags for cell in lagging.rate_cells()]

    def _make_units(self, forms: Forms) -> list[Unit]:
        arena, units = self._arena, list[Unit]()
        groups: dict[tuple[Any, ...], dict[int, Settings]] = {}
        for i in self._active:
            settings, array = arena.settings[i], arena.params.arrays[i]
            kind, lean = self._variant(i)
            if forms.get(i, "dense") == "dense":
                clips = settings.norm_limit > 0
                variant = kind, lean, settings.form, settings.motion, array.dtype, clips
                groups.setdefault(variant, {})[i] = settings
            else:
                units.append(self._row_unit(i, forms[i]))
        for (kind, lean, *_), members in groups.items():
            units.append(self._bucket(members, kind, lean))
        return units

    def _bucket(self, members: dict[int, Settings], kind: str, lean: bool) -> Unit:
        what = self._arena.state, members, kind, lean
        if self._arena.params.backend is None:
            return Bucket(*what, PARALLEL_FROM)
        return cast(Unit, device_units().DeviceBucket(*what, watchful=self._checks != 0))

    def _variant(self, i: int) -> tuple[str, bool]:
        """Kind of accumulator, and whether the driver without options will do."""
        settings = self._arena.settings[i]
        kind = kind_of(self._names[i], self._arena.params.arrays[i], settings)
        return kind, kind == "element" and settings.lean and not self._global_limit

    def _row_unit(self, i: int, form: str) -> Unit:
        arena = self._arena
        if (i, form) not in self._row_units:
            settings = arena.settings[i]
            kind, lean = self._variant(i)
            lazily = moves_unnamed(settings) and settings.options.lazy == "exact"
            lags: Any = arena.lags if lazily else None
            what = arena.state, i, settings, kind, lean
            how: dict[str, Any] = {"ordered": self._global_limit > 0 or settings.norm_limit > 0, "lags": lags}
            if arena.params.backend is None:
                how |= {"by_element": form == "elements", "watchful": self._checks != 0}
                unit: Unit = RowUnit(*what, **how, parallel_from=PARALLEL_FROM)
            else:
                unit = device_units().DeviceRowUnit(*what, **how)
            self._row_units[i, form] = unit
        return self._row_units[i, form]

    def _form_of(self, i: int, gradient: Any) -> str | None:
        """What becomes of a gradient if it is sparse; None if it is not."""
        if type(gradient) is np.ndarray or not is_sparse(gradient):
            return None
        if self._arena.params.backend is not None and type(gradient) is not Rows:
            raise TypeError(
                f"gradient of {self._names[i]!r} must be on the device, as its parameter is, and scipy.sparse matrices "
                "are the host's; pass Rows of device arrays"
            )
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

    def _set_scalars(self, t: int, asked: dict[int, float]) -> None:
        for unit in self._units:
            unit.set_scalars(t, asked, self._arena.state.learned)

    def step(self, gradients: list[Any], t: int, products: Sequence[Any] = ()) -> bool:
        """Step t with a list of gradients, one a parameter; False if skipped for a non-finite gradient.

        A method that is fed takes a list of Hessian-vector products as well.

        Raises
        ------
        TypeError, ValueError, IndexError, FloatingPointError
            Before anything is written.
        """
        arena, unit = self._arena, self._stepped_in_one_call
        if unit is not None and not arena.lags:
            rate = arena.rate_set
            if rate is not None and rate is not self._rate_written:
                if self._rate_cell is None:
                    self._write_rate(rate)
                else:
                    memory, index = self._rate_cell
                    memory[index] = self._rate_written = rate
            try:
                done = self._run(unit, HEADERS | self._checks | UPDATE, gradients)
            except OtherKind:
                done = self._step_in_units(gradients, t)
        elif self._fed and not self._take(products):
            return False
        else:
            done = self._step_in_units(gradients, t)
        if done and arena.displaced and (unit is None or arena.displaced is not arena.placed_by_rate):
            # Displaced by the rate alone, they soon are again. The note stays until one is stepped in another way: by
            # rows, say, which are a dense gradient then.
            arena.displaced = arena.displaced - self._stepped_densely
        if done and self._idle_velocities:
            for velocity in self._idle_velocities:
                velocity[...] = 0
            self._idle_velocities = []
            self._stepped_in_one_call = self._unit_of_one_call()
        return done

    def _step_in_units(self, gradients: list[Any], t: int) -> bool:
        """Step in the units that there are, or arrange others if the gradients are of other kinds."""
        rate = self._arena.rate_set
        asked: dict[int, float] = {}
        if rate is not None:
            if self._scheduled or self._measures:
                asked = dict.fromkeys(self._arena.rate_keys, rate)
            if not self._scheduled and rate is not self._rate_written:
                self._write_rate(rate)
        if self._scheduled:
            self._set_scalars(t, asked)
        with suppress(OtherKind):
            return self._attempt(gradients, t, asked)
        found = {i: self._form_of(i, gradients[i]) for i in self._active}
        if rate is not None:  # which units arranged before do not have in their settings
            asked |= dict.fromkeys(self._arena.rate_keys, rate)
        self._arrange({i: form for i, form in found.items() if form is not None})
        self._set_scalars(t, asked)
        return self._attempt(gradients, t, asked)

    def _take(self, products: Sequence[Any]) -> bool:
        """Check the Hessian-vector products of a step; False if it is to be skipped for one that is not finite."""
        arena = self._arena
        for i in self._active:
            checked_product(self._names[i], products[i], arena.params.arrays[i])
        if self._checks:
            for i in self._active:
                if not is_finite(self._names[i], products[i], arena.params.arrays[i]):
                    return self._refuse_non_finite(i, "product")
        self._products = products
        return True

    def _feed(self) -> None:
        for i in self._active:
            slot = trait(self._arena.unsettled[i].form, "fed")
            self._arena.state[self._names[i]][slot][...] = self._products[i]
        self._products = ()

    def _attempt(self, gradients: list[Any], t: int, asked: dict[int, float]) -> bool:
        for i, form in self._forms.items():
            if self._form_of(i, gradients[i]) != form:
                raise OtherKind
        if "dense" not in self._forms.values():
            return self._execute(gradients, t, asked)
        with self._written_out(gradients) as gradients:
            return self._execute(gradients, t, asked)

    @contextmanager
    def _written_out(self, gradients: list[Any]) -> Iterator[list[Any]]:
        """The gradients with those that are to be dense written out."""
        to_write = [i for i, form in self._forms.items() if form == "dense"]
        try:
            gradients = [*gradients]
            for i in to_write:
                if i not in self._dense_forms:
                    self._dense_forms[i] = self._dense_form(self._names[i], self._arena.params.arrays[i])
                gradients[i] = self._dense_forms[i].write(gradients[i], self._guard, self._threads)
            yield gradients
        finally:
            for i in to_write:
                if i in self._dense_forms:
                    self._dense_forms[i].clear()

    def _dense_form(self, name: str, array: Any) -> Any:
        backend = self._arena.params.backend
        if backend is None:
            return DenseForm(name, array, PARALLEL_FROM)
        return device_units().DeviceDenseForm(name, array, backend)

    def _execute(self, gradients: list[Any], t: int, asked: dict[int, float]) -> bool:
        if len(self._units) == 1 and not (self._clips or self._arena.lags or self._measures or self._fed):
            return self._run(self._units[0], HEADERS | self._checks | UPDATE, gradients)
        return self._step_in_phases(gradients, t, asked)

    def _step_in_phases(self, gradients: list[Any], t: int, asked: dict[int, float]) -> bool:
        """Check all gradients before the first is used."""
        for unit in self._units:
            norms = NORMS if unit.clips or self._global_limit else 0
            if not self._run(unit, HEADERS | self._checks | norms, gradients):
                return False
        if self._clips and not self._set_clipping():
            return False
        learned = self._learn(t, asked) if self._measures else ()
        if learned is None:
            return False
        with whole():
            self._arena.state.learned = learned
            if self._fed:
                self._feed()
            self._catch_up_for_dense_steps()
            for unit in self._units:
                self._run(unit, UPDATE, gradients)
        return True

    def _catch_up_for_dense_steps(self) -> None:
        for i, lagging in self._arena.lags.items():
            if i in self._active and i not in self._forms:
                lagging.recall_all(self._threads)

    def _run(self, unit: Unit, work: int, gradients: list[Any]) -> bool:
        code = unit.run(work, gradients, self._guard, self._threads)
        if code > 0 and self._checks:
            self._note_infinity(unit)
        return code >= 0 or self._refuse_non_finite(unit.positions[addresses.decode(code)[0]])

    def poll(self) -> None:
        """Note accumulators that have become infinite unseen."""
        if self._checks and self._arena.params.backend is not None:
            units: dict[int, Any] = {id(unit): unit for units in self._arrangements.values() for unit in units}
            for unit in units.values():
                unit.poll()
                self._note_infinity(unit)

    def _set_clipping(self) -> bool:
        """Scale of every gradient from its norm; False if the step is to be skipped."""
        if not self._global_limit:
            for unit in self._units:
                if unit.clips:
                    unit.clip_each()
            return True
        squares = {i: x for b in self._units for i, x in zip(b.positions, b.sums.tolist(), strict=True)}
        total = 0.0
        for i in sorted(squares):
            total += squares[i]
        if self._checks and not math.isfinite(total):
            return self._refuse_non_finite(max(squares, key=squares.__getitem__))
        for unit in self._units:
            unit.set_gradient_scale(norm_scale(self._global_limit, total))
        return True

    def _learn(self, t: int, asked: dict[int, float]) -> tuple[float, ...] | None:
        """What the method makes of its measures of all parameters; None if the step is to be skipped."""
        if not self._active:
            return self._arena.state.learned
        measures: dict[int, list[float]] = {}
        for unit in cast(Any, self._units):  # all of dense gradients
            measures |= zip(unit.positions, unit.measure(self._threads).T.tolist(), strict=True)
        sums, rule = [0.0] * len(trait(self._arena.rule, "measured")), cast(Any, self._arena.rule)
        for i in sorted(measures):
            sums = [x + y for x, y in zip(sums, measures[i], strict=True)]
        if self._checks and not all(map(math.isfinite, sums)):
            self._refuse_non_finite(max(measures, key=lambda i: not all(map(math.isfinite, measures[i]))))
            return None
        own = self._arena.unsettled[self._active[0]].own
        learned: tuple[float, ...] = rule.learn(own, self._arena.state.learned, sums)
        if self._checks and not all(map(math.isfinite, learned)):
            raise ValueError(
                f"{rule.name.upper()} would go by {dict(zip(rule.learned, learned, strict=True))}, which must be "
                f"finite: use smaller hyperparameters than {vars(own)}"
            )
        for unit in self._units:
            unit.set_own_scalars(t, asked, learned)
        return learned

    def _refuse_non_finite(self, position: int, what: str = "gradient") -> bool:
        name = self._names[position]
        if self._nonfinite == "raise":
            or_else = " (or the parameter does)" if self._measures else ""
            raise FloatingPointError(
                f"{what} of {name!r} must be finite, but holds NaN or infinity, or its norm overflows"
                f"{or_else}; nothing was changed (nonfinite='skip' skips such steps, 'ignore' does not look)"
            )
        logger.info("step skipped: the %s of %r is not finite", what, name)
        return False

    def _note_infinity(self, unit: Unit) -> None:
        for i in unit.take_infinite():
            if self._names[i] not in self._arena.warned:
                self._arena.warned.add(self._names[i])
                self._arena.infinite.append(self._names[i])
