"""The engine: it keeps parameters and their state, takes hyperparameters, and catches rows up."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import numpy as np

from ..kernels.forking import OF_STEPS, await_at_fork, in_forked_child, was_held
from ..kernels.memory.storage import computed_in
from ..kernels.rules import trait
from ..support.interrupts import whole
from ..support.log import logger
from .access import Access
from .arena import Arena
from .options import Conduct, Rule, Settings, cast_scalars
from .parameters import FloatArray, Parameters, guard_of
from .place import Reader
from .step import Stepping
from .tuning import NO_RATES, RateRange, only_numbers, own_scalars_are_apart, own_scalars_fit, rate_range, same_conduct

_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


@in_forked_child
def _note_fork() -> None:
    for engine in _all_engines():
        engine.take_over_fork(was_held(engine.lock))


def _all_engines() -> list[Engine]:
    while True:
        with suppress(RuntimeError):  # other threads make engines meanwhile
            return list(_engines)


await_at_fork(OF_STEPS, lambda: [engine.lock for engine in _all_engines()])


class Engine(Access, Arena):
    """An arena that takes hyperparameters, makes the `Stepping` for them, and catches rows up."""

    stepping: Stepping
    _planned: dict[str, dict[str, FloatArray]]  # the slots that `stepping` was made for

    def __init__(self, rule: Rule, params: Parameters) -> None:
        Access.__init__(self)
        Arena.__init__(self, rule, params)
        # The count of updates, of which a view gives a number in a fraction of the time that an array takes.
        self.updates = memoryview(cast(Any, self.state.updates))
        self._readers: dict[int, Reader] = {}  # by position
        self._rate_range: RateRange | None = None  # rates that need no new settings; None: not found out yet
        self._quick_rates = NO_RATES  # those of them that need no look at state and method either
        self._begins_by_rate = False  # whether initial values of slots depend on the rate
        # Settings whose method forms its own scalars from the rate, each with the largest number of its dtype.
        self._formed_by_rate: list[tuple[Settings, float]] = []
        self.tuning = 0  # counts changes of numbers, which `Stepping` objects of single parameters have to take over
        _engines.add(self)

    def check(self, settings: Sequence[Settings], conduct: Conduct, unused: bool) -> None:
        """Refuse hyperparameters that do not fit one another, the state or a dtype."""
        if conduct.max_global_norm and any(s.norm_limit or s.options.max_gradient_elem for s in settings):
            raise ValueError("max_global_norm cannot be combined with max_gradient_elem or max_gradient_norm")
        active = [s for s in settings if not s.options.frozen]
        if trait(self.rule, "measured") and len({s.own for s in active}) > 1:
            raise ValueError(
                f"{self.rule.name.upper()} measures all parameters together: groups cannot have their own "
                f"{' or '.join(vars(active[0].own))}"
            )
        self.state.check(settings, unused)
        dtypes = [computed_in(array.dtype) for array in self.params.arrays]
        for s, dtype in {(id(s), d): (s, d) for s, d in zip(settings, dtypes, strict=True)}.values():
            if not s.scheduled:
                cast_scalars(s, 0, dtype)
            for slot, value in zip(s.form.slots, s.initial(), strict=True):
                if not isinstance(value, str) and value > float(np.finfo(dtype).max):
                    causes = " and ".join(trait(self.rule, "starts"))
                    raise ValueError(f"{causes}: the {slot} would begin at {value:g}, which is too large for {dtype}")

    def set_rate(self, rate: float) -> bool:
        """Set the learning rate of `followers` in the quickest way; False, and no change, if that way is not open.

        The rate is only noted, in one assignment, which needs no lock. The next step uses it.
        """
        lowest, highest = self._quick_rates
        if lowest <= rate <= highest:
            if self.placed_by_rate and self.displaced is not self.placed_by_rate:
                self._displace()
            self.rate_set = rate
            return True
        return False

    def set_rate_looking_around(self, rate: float, unused: bool) -> bool:
        """Set the learning rate after a look at state and method; False, and no change, if it needs new settings."""
        lowest, highest = self._rate_range or self._find_rate_range()
        if not lowest <= rate <= highest or (unused and self._begins_by_rate):
            return False
        for settings, largest in self._formed_by_rate:
            if not own_scalars_fit(settings, rate, largest):
                return False
        if not unused:
            self._displace()
        if not self._formed_by_rate and not (unused and (self._begins_by_rate or self.placed_by_rate)):
            self._quick_rates = lowest, highest
        self.rate_set = rate
        return True

    def _displace(self) -> None:
        """Note that parameters computed from slots and the rate are not where the next rate will place them."""
        if self.placed_by_rate:
            with self.lock:
                self.displaced = self.displaced | self.placed_by_rate if self.displaced else self.placed_by_rate

    def forget_rate_range(self) -> None:
        """Have `_rate_range` found out anew when next needed: settings, followers or lagging rows have changed."""
        self._rate_range, self._quick_rates = None, NO_RATES

    def _find_rate_range(self) -> RateRange:
        with self.lock:
            followers, settings = self.followers, self.settings
            of_followers = {id(settings[i]): settings[i] for i in followers}.values()
            self.rate_keys = [id(s.options) for s in of_followers]
            goes_by_it = [i for i in followers if trait(settings[i].form, "takes_rate")]
            self.placed_by_rate = self.placed(goes_by_it)
            self._begins_by_rate = "learning_rate" in trait(self.rule, "starts")
            self._formed_by_rate = []
            found = NO_RATES
            if self.params.place.takes_rates and followers:
                arrays, lags = self.params.arrays, self.lags
                cases = {(id(settings[i]), arrays[i].dtype, id(lags.get(i))): i for i in followers}
                ranges = [rate_range(settings[i], computed_in(arrays[i].dtype), lags.get(i)) for i in cases.values()]
                found = max(low for low, _ in ranges), min(high for _, high in ranges)
                formed = [s for s in of_followers if not (s.scheduled or own_scalars_are_apart(s))]
                largest = min(float(np.finfo(computed_in(array.dtype)).max) for array in arrays)
                self._formed_by_rate = [(s, largest) for s in formed]
            self._rate_range = found
            return found

    def settle_rate(self) -> None:
        """Put the learning rate that `set_rate` has noted into the settings."""
        while self.rate_set is not None:
            with self.lock:
                rate = self.rate_set
                if rate is not None:
                    self._take_rate(rate)
                if self.rate_set is rate:  # another thread may have set it meanwhile
                    self.rate_set = None

    def _take_rate(self, rate: float) -> None:
        new: dict[int, Settings] = {}
        for i in sorted(self.followers):
            settings = self._settings[i]
            if id(settings) not in new:
                new[id(settings)] = replace(settings, options=replace(settings.options, learning_rate=rate))
        self._settings = [new.get(id(s), s) if i in self.followers else s for i, s in enumerate(self._settings)]
        for i, lagging in self.lags.items():
            lagging.take_settings(self._settings[i])
        self.stepping.take_numbers(self._settings)
        self.tuning += 1
        self.forget_rate_range()

    def keeps_plan(self, settings: Sequence[Settings], conduct: Conduct, unused: bool) -> bool:
        """Whether `configure` will go on with the plan that there is, as only numbers have changed."""
        old = self.settings
        kept = self._planned is self.state.slots and same_conduct(self.conduct, conduct)
        if not kept or trait(self.rule, "measured") or not only_numbers(old, settings):
            return False
        return not unused or [s.start for s in old] == [s.start for s in settings]

    def _retuned(self, settings: Sequence[Settings], conduct: Conduct, unused: bool) -> bool:
        """Go on with the plan that there is, if only numbers have changed; False, and no change, if more has."""
        if not self.keeps_plan(settings, conduct, unused):
            return False
        old = self.settings
        changed = [i for i, (a, b) in enumerate(zip(old, settings, strict=True)) if a is not b and a != b]
        lags = [(i, self.lags[i]) for i in changed if i in self.lags]
        for i, _ in lags:
            self.params.refuse_changed(i)
        with whole():
            for i, lagging in lags:
                lagging.bridge(settings[i], self._threads)
            for i, lagging in lags:
                lagging.take_settings(settings[i])
            if not unused:
                self.displaced = self.displaced | self.placed(changed)
            self._settings, self.conduct = list(settings), conduct
            self.stepping.take_numbers(self._settings)
            self.tuning += 1
        return True

    def configure(
        self,
        settings: Sequence[Settings],
        conduct: Conduct,
        steps: int,
        unused: bool,
        followers: frozenset[int] = frozenset(),
    ) -> None:
        """Take new hyperparameters after so many steps; nothing changes if they are refused.

        `unused` says that no step, of all parameters or of a single one, has used the state. `followers` are the
        positions of parameters that have no learning rate of their own.
        """
        with self.changing("a change of hyperparameters"):
            self.check(settings, conduct, unused)
            if not (self._settings and self._retuned(settings, conduct, unused)):
                self._plan_anew(settings, conduct, steps, unused)
            self.followers = followers
            self.forget_rate_range()

    def _plan_anew(self, settings: Sequence[Settings], conduct: Conduct, steps: int, unused: bool) -> None:
        if self.settings:
            self.flush()
        before, slots, late = dict(vars(self)), self.state.slots, self.state.late
        changed = {i for i, (old, new) in enumerate(zip(self.settings, settings, strict=False)) if old != new}
        try:
            self.state.fit(settings, steps, unused)
            self._settings, self.conduct = list(settings), conduct
            if not unused:
                self.displaced = self.displaced | self.placed(changed)
            self.frozen = frozenset(i for i, s in enumerate(settings) if s.options.frozen)
            self.guard = guard_of([*self.params.arrays, *self.state.arrays()])
            self.stepping, self.lags = self._make_stepping(range(len(settings)), may_defer=True), {}
            self._planned = self.state.slots
        except BaseException:
            vars(self).update(before)
            self.state.slots, self.state.late = slots, late
            raise

    def reset(self) -> None:
        """Set the state back to that before the first step; the lock is held by whoever calls this."""
        self.displaced = frozenset()
        self.stepping.poll()
        self.state.reset(self.settings)
        self.stepping.take_numbers(self.settings)
        self.tuning += 1
        self.forget_rate_range()
        self.warned.clear()
        self.infinite.clear()

    @property
    def behind(self) -> bool:
        """Whether some rows have yet to catch up."""
        with self.lock:
            return any(lagging.behind for lagging in self.lags.values())

    def flush(self) -> None:
        """Catch all rows of all parameters up; ValueError if an array is not as it was when it was registered."""
        with self.lock:
            self._refuse_in_flux()
            self.stepping.poll()
            behind = [i for i, lagging in self.lags.items() if lagging.behind]
            for i in behind:
                self.params.refuse_changed(i)
            with whole():
                for i in behind:
                    self.lags[i].catch_up_all(self._threads)

    def read(self, position: int, what: str, indices: Any) -> Any:
        """Copies of rows of one parameter, which are caught up first; it raises what `catch_up` raises."""
        with self.lock:
            return self._reader(position).read(self.catch_up(position, what, indices))

    def catch_up(self, position: int, what: str, indices: Any) -> Any:
        """Catch these rows of one parameter up; returns the indices, checked.

        Raises
        ------
        TypeError, ValueError, IndexError
            If the indices are no row numbers, or the parameter has no rows or is not as it was registered.
        """
        with self.lock:
            self._refuse_in_flux()
            self.params.refuse_changed(position)
            if self.params.arrays[position].ndim == 0:
                raise ValueError(f"{what} do not exist: the parameter is 0-dimensional")
            return self._reader(position).catch_up(what, indices, self.lags.get(position), self._threads)

    def _refuse_in_flux(self) -> None:
        if self.state.in_flux:
            raise RuntimeError(
                "parameters and state cannot be read while a step writes them part by part, as by a signal's handler: "
                "read them between steps"
            )

    def _reader(self, position: int) -> Reader:
        if position not in self._readers:
            self._readers[position] = self.params.place.reader(self.params, position)
        return self._readers[position]

    @property
    def _threads(self) -> int:
        return self.params.place.threads(self.conduct.threads)

    def stepping_of(self, position: int) -> Stepping:
        """Steps of one parameter alone."""
        self.refuse_alone(self.conduct)
        return self._make_stepping([position])

    def _make_stepping(self, positions: Sequence[int], may_defer: bool = False) -> Stepping:
        return Stepping(self, positions, may_defer=may_defer)

    def whole_shape(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of a parameter or a slot that has this shape here, over all processes that step the model."""
        return shape

    def refuse_alone(self, conduct: Conduct) -> None:
        """Raise ValueError if parameters cannot be stepped one by one."""
        if conduct.max_global_norm:
            raise ValueError("max_global_norm needs the gradients of all parameters at once: call step")
        if trait(self.rule, "measured"):
            raise ValueError(f"{self.rule.name.upper()} measures all parameters together: call step")

    def warn_of_infinity(self, stacklevel: int) -> None:
        """Warn of accumulators that have become infinite, once of each; it is logged where warnings are errors.

        The step has been made, and a step that raises would have changed nothing.
        """
        names, self.infinite = self.infinite, []
        for name in names:
            slot = self.settings[self.params.names.index(name)].form.slots[0].replace("_", " ")
            message = (
                f"the {slot} of {name!r} has become infinite (a squared gradient or their sum "
                "overflows its dtype): those elements are no longer trained; scale the loss down, clip, or use float64"
            )
            try:
                warnings.warn(message, RuntimeWarning, stacklevel=stacklevel + 1)
            except RuntimeWarning:
                logger.warning(message)
