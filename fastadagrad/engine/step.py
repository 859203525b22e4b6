"""One step of several parameters: all gradients are checked before the first is used.

    check      every gradient fits its parameter and, unless that is not asked for, is finite
    norms      sums of squares, by which gradients are clipped each or all together
    learn      a method that measures all parameters computes its learned numbers from the sums
    update     the first write: rows are caught up, and each unit's driver updates its parameters

Where one call of one driver does all of this, the step is that call and little more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, cast

import numpy as np

from ..kernels.cpu.tensors import FINITE, HEADERS, NORMS, UPDATE
from ..kernels.memory import addresses
from ..kernels.rules import trait
from ..support.interrupts import whole
from ..support.log import logger
from .arena import Arena
from .comm import ALONE, totals
from .options import Settings
from .place import array_of
from .plan import Forms, Plan
from .products import check_product
from .rate_cells import RateCells
from .unit import DECIDE, DECIDE_ALONE, OtherKind, Unit, norm_scale


class Stepping:
    """Steps of the parameters at some positions, with the settings of the arena.

    Which gradients are sparse is known only when they come. If gradients are of other kinds than those of the step
    before, the plan divides the parameters among units anew.
    """

    units: list[Unit]

    def __init__(self, arena: Arena, positions: Sequence[int], *, may_defer: bool = False) -> None:
        conduct, settings = arena.conduct, [arena.settings[i] for i in positions]
        self._arena, self._names, self._plan = arena, arena.params.names, Plan(arena, positions)
        self._alone = arena.comm is ALONE
        self._active = self._plan.active
        self._global_limit, self._nonfinite = conduct.max_global_norm, conduct.nonfinite
        self._measures = bool(trait(arena.rule, "measured"))  # such a method's own scalars change in each step
        self._fed = any(trait(s.form, "fed") for s in settings)
        self._products: Sequence[Any] = ()  # of the step under way
        self._known_finite = set[int]()  # positions whose gradients need not be checked in the step under way
        self._scheduled = any(s.rate_changes if self._measures else s.scheduled for s in settings)
        self._clips = self._global_limit > 0 or any(s.norm_limit for s in settings)
        self._checks = 0 if self._nonfinite == "ignore" else FINITE
        self._defers = may_defer and conduct.deferred and self._checks > 0
        self._guard = arena.guard
        self._threads = arena.params.place.threads(conduct.threads)
        self._idle_velocities = arena.state.idle_velocities(arena.settings, positions)
        self._dense_forms: dict[int, Any] = {}
        self._rate = RateCells()
        self._in_one_call: Unit | None = None
        self._arrange({}, 0, None if self._scheduled else {})

    def _arrange(self, forms: Forms, t: int, asked: dict[int, float] | None) -> None:
        """Step in other units from now on, given how sparse gradients are treated; all of the change or nothing.

        The units get the scalars of step t, unless `asked` is None.
        """
        self._arena.settle_rate()
        units = self._plan.units(forms)
        densely = {i for i in self._active if forms.get(i, "dense") == "dense"}
        in_one_call = self._unit_of_one_call(forms, units)
        if asked is not None:
            for unit in units:
                unit.set_scalars(t, asked, self._arena.state.learned)
        self._rate.forget()
        self._arena.forget_rate_range()
        self._forms, self.units, self._stepped_densely, self._in_one_call = forms, units, densely, in_one_call

    def _unit_of_one_call(self, forms: Forms, units: list[Unit]) -> Unit | None:
        """The only unit, if a step is one call of its driver and nothing else; None otherwise.

        Rows that lag behind need more than that call. Whether there are any changes between steps, so `step` looks.
        """
        else_to_do = forms or self._scheduled or self._clips or self._measures or self._fed or not self._alone
        return units[0] if len(units) == 1 and not (else_to_do or self._idle_velocities) else None

    def take_numbers(self, settings: Sequence[Settings]) -> None:
        """Use other settings, which differ only in numbers from those that the plan was made for."""
        self._global_limit = self._arena.conduct.max_global_norm
        for unit in self._plan.all_units():
            unit.take_settings(settings)
        self._rate.forget()
        if not self._scheduled:
            self._set_scalars(0, {})

    def _set_scalars(self, t: int, asked: dict[int, float]) -> None:
        for unit in self.units:
            unit.set_scalars(t, asked, self._arena.state.learned)

    def step(self, gradients: list[Any], t: int, products: Sequence[Any] = ()) -> bool:
        """Make step t with a list of gradients, one a parameter; False if it is skipped for a non-finite gradient.

        A method that needs Hessian-vector products takes a list of them as well. Whether a deferred step is made is
        decided on the GPU: `left_out` tells of those that are not.

        Raises
        ------
        TypeError, ValueError, IndexError, FloatingPointError
            If a gradient or product does not fit, or is not finite. Nothing has been written then.
        OtherKind
            If it is to come after deferred steps, and cannot itself be deferred as its gradients are of other kinds.
        """
        arena, unit = self._arena, self._in_one_call
        if unit is not None and not arena.lags:
            rate = arena.rate_set
            if rate is not None and rate is not self._rate.written:
                if self._rate.only is None:
                    self._write_rate(rate)
                else:
                    memory, index = self._rate.only
                    memory[index] = self._rate.written = rate
            before, work = arena.deferring, self._checks | UPDATE
            if self._defers and unit.may_defer:
                arena.deferring, work = unit, DECIDE_ALONE if self._nonfinite == "skip" else DECIDE
            try:
                done = self._run(unit, HEADERS | work, gradients)
            except OtherKind:
                arena.deferring = before
                if before is not None:
                    raise
                done = self._step_in_units(gradients, t)
        elif self._fed and not arena.comm.agreed(partial(self._take, products)):
            return False
        else:
            done = self._step_in_units(gradients, t)
        made = done and arena.deferring is None
        if made and arena.displaced and (unit is None or arena.displaced is not arena.placed_by_rate):
            # Parameters that only a new rate has displaced are displaced again by the next rate, so that the note is
            # left in the quickest step. It is taken off once a step is made in another way, as by a sparse gradient,
            # which a displaced parameter takes as a dense one.
            arena.displaced = arena.displaced - self._stepped_densely
        if done and self._idle_velocities:
            for velocity in self._idle_velocities:
                velocity[...] = 0
            self._idle_velocities = []
            self._in_one_call = self._unit_of_one_call(self._forms, self.units)
        return done

    def _write_rate(self, rate: float) -> None:
        self._rate.write(rate, self._arena, self._active, self.units)

    def _step_in_units(self, gradients: list[Any], t: int) -> bool:
        """Make a step in the units that there are or, if the gradients are of other kinds, in others."""
        rate = self._arena.rate_set
        asked: dict[int, float] = {}
        if rate is not None:
            if self._scheduled or self._measures:
                for key in self._arena.rate_keys:  # mostly one, for which this is quicker than dict.fromkeys
                    asked[key] = rate
            if not self._scheduled and rate is not self._rate.written:
                self._write_rate(rate)
        if self._scheduled:
            self._set_scalars(t, asked)
        with suppress(OtherKind):
            return self._attempt(gradients, t, asked)
        found = {i: self._plan.form_of(i, gradients[i]) for i in self._active}
        if rate is not None:  # units that were arranged earlier do not have this rate in their settings
            asked |= dict.fromkeys(self._arena.rate_keys, rate)
        self._arrange({i: form for i, form in found.items() if form is not None}, t, asked)
        return self._attempt(gradients, t, asked)

    def _take(self, products: Sequence[Any]) -> bool:
        """Check the Hessian-vector products of a step; False if one is not finite and the step is to be skipped."""
        params = self._arena.params
        for i in self._active:
            check_product(self._names[i], products[i], params.arrays[i], params.place)
        if self._checks:
            for i in self._active:
                if not params.place.is_finite(self._names[i], products[i], params.arrays[i]):
                    return self._refuse_non_finite(i, "product")
        self._products = products
        return True

    def _feed(self) -> None:
        for i in self._active:
            slot = trait(self._arena.unsettled[i].form, "fed")
            self._arena.state[self._names[i]][slot][...] = array_of("product", self._products[i])
        self._products = ()

    def _attempt(self, gradients: list[Any], t: int, asked: dict[int, float]) -> bool:
        for i, form in self._forms.items():
            if self._plan.form_of(i, gradients[i]) != form:
                raise OtherKind
        if "dense" not in self._forms.values():
            return self._execute(gradients, t, asked)
        with self._written_out(gradients) as gradients:
            return self._execute(gradients, t, asked)

    @contextmanager
    def _written_out(self, gradients: list[Any]) -> Iterator[list[Any]]:
        """The gradients, of which sparse ones that are treated as dense have been made dense."""
        to_write, params = [i for i, form in self._forms.items() if form == "dense"], self._arena.params
        try:
            gradients = [*gradients]
            for i in to_write:
                if i not in self._dense_forms:
                    self._dense_forms[i] = params.place.dense_form(self._names[i], params.arrays[i])
                gradients[i] = self._dense_forms[i].write(gradients[i], self._guard, self._threads)
            yield gradients
        finally:
            for i in to_write:
                if i in self._dense_forms:
                    self._dense_forms[i].clear()

    def _execute(self, gradients: list[Any], t: int, asked: dict[int, float]) -> bool:
        more_to_do = self._clips or self._arena.lags or self._measures or self._fed or not self._alone
        if len(self.units) == 1 and not more_to_do:
            return self._run(self.units[0], HEADERS | self._checks | UPDATE, gradients)
        return self._step_in_phases(gradients, t, asked)

    def _step_in_phases(self, gradients: list[Any], t: int, asked: dict[int, float]) -> bool:
        """Make a step in the phases of this module: all gradients are checked before the first is used."""
        if not self._arena.comm.agreed(partial(self._check, gradients)):
            return False
        if self._clips and not self._set_clipping():
            return False
        learned = self._learn(t, asked) if self._measures else ()
        if learned is None:
            return False
        state = self._arena.state
        with whole():
            state.in_flux = True
            try:
                state.learned = learned
                if self._fed:
                    self._feed()
                self._catch_up_for_dense_steps()
                for unit in self.units:
                    self._run(unit, UPDATE, gradients)
                    self._note_updated(unit)
            finally:
                state.in_flux = False
        return True

    def _check(self, gradients: list[Any]) -> bool:
        """Check all gradients, and form the norms that clipping needs; False if the step is to be skipped."""
        for unit in self.units:
            norms = NORMS if unit.clips or self._global_limit else 0
            checks = self._checks if norms or not self._known_finite.issuperset(unit.positions) else 0
            if not self._run(unit, HEADERS | checks | norms, gradients):
                return False
        return True

    def _note_updated(self, unit: Unit) -> None:
        """What is to be done once the parameters of a unit have been updated: nothing, for one process."""

    def _catch_up_for_dense_steps(self) -> None:
        for i, lagging in self._arena.lags.items():
            if i in self._active and i not in self._forms:
                lagging.catch_up_all(self._threads)

    def _run(self, unit: Unit, work: int, gradients: list[Any]) -> bool:
        code = unit.run(work, gradients, self._guard, self._threads)
        if code > 0 and self._checks:
            self._note_infinity(unit)
        return code >= 0 or self._refuse_non_finite(unit.positions[addresses.decode(code)[0]])

    def poll(self) -> None:
        """Note accumulators that have become infinite since the last look, where steps do not look themselves."""
        if self._checks:
            for unit in self._plan.all_units():
                if unit.poll():
                    self._note_infinity(unit)

    def _set_clipping(self) -> bool:
        """Set the scale of every gradient by its norm, to clip it; False if the step is to be skipped."""
        if not self._alone:
            for unit in cast(Any, self.units):  # all have sums of blocks, as rows on a GPU, which have not, are refused
                if unit.clips or self._global_limit:
                    unit.sums[:] = self._arena.comm.whole_sums(unit.block_sums())
                    for i, square in zip(unit.positions, unit.sums.tolist(), strict=True):
                        if self._checks and not math.isfinite(square):
                            return self._refuse_non_finite(i)
        if not self._global_limit:
            for unit in self.units:
                if unit.clips:
                    unit.clip_each()
            return True
        squares = {i: x for b in self.units for i, x in zip(b.positions, b.sums.tolist(), strict=True)}
        [total] = totals([[squares[i]] for i in sorted(squares)], 1)
        if self._checks and not math.isfinite(total):
            return self._refuse_non_finite(max(squares, key=squares.__getitem__))
        for unit in self.units:
            unit.set_gradient_scale(norm_scale(self._global_limit, total))
        return True

    def _learn(self, t: int, asked: dict[int, float]) -> tuple[float, ...] | None:
        """The numbers that the method learns from its sums over all parameters; None if the step is to be skipped."""
        if not self._active:
            return self._arena.state.learned
        measures: dict[int, list[float]] = {}
        for unit in cast(Any, self.units):  # all are for dense gradients, as methods that measure take no others
            found = unit.measure(self._threads)
            if not self._alone:
                found = np.array([self._arena.comm.whole_sums(blocks) for blocks in unit.measured_blocks()])
            measures |= zip(unit.positions, found.T.tolist(), strict=True)
        rule, parts = cast(Any, self._arena.rule), [measures[i] for i in sorted(measures)]
        sums = totals(parts, len(trait(rule, "measured")))
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
        for unit in self.units:
            unit.set_own_scalars(t, asked, learned)
        return learned

    def left_out(self, unit: Unit, wait: bool) -> tuple[int, str, bool]:
        """Tell of deferred steps as the unit does (`Unit.left_out`), with the name of the parameter."""
        number, row, replayed = unit.left_out(wait)
        if (wait or number) and not unit.replayed:
            self._arena.deferring = None
        return number, self._names[unit.positions[row]], replayed

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
