"""Parameters with their state and hyperparameters, one step of which the plan makes."""

from __future__ import annotations

import threading
import warnings
import weakref
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .hyper import Conduct, Rule, Settings, cast_scalars
from .interrupts import whole
from .kernels.coalesce import ASCENDING
from .kernels.forking import in_forked_child
from .kernels.rules import places, trait
from .launch import usable_threads
from .parameters import FloatArray, Parameters, guard_of
from .plan import Plan, device_units
from .rows import checked_indices
from .state import State

_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


@in_forked_child
def _note_fork() -> None:
    """Make the locks anew: in the parent another thread, which is not here, may have held them."""
    for engine in _engines:
        engine.lock = threading.RLock()


class Engine:
    """State and hyperparameters of all parameters, and the plan by which they step."""

    def __init__(self, rule: Rule, params: Parameters) -> None:
        self.rule, self.params, self.state = rule, params, State(rule, params)
        self.infinite: list[str] = []  # parameters whose accumulator has become infinite, not told yet
        self.warned: set[str] = set()  # and those told
        self.displaced: set[int] = set()  # positions of what its slots place, and a change has put or left elsewhere
        self.lags: dict[int, Any] = {}  # by position: `Lagging` of parameters that sparse gradients step lazily
        self._readers: dict[int, Any] = {}  # by position, of parameters on a GPU
        self.settings: list[Settings] = []
        self.lock = threading.RLock()
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
        dtypes = [array.dtype for array in self.params.arrays]
        for s, dtype in {(id(s), d): (s, d) for s, d in zip(settings, dtypes, strict=True)}.values():
            if not s.scheduled:
                cast_scalars(s, 0, dtype)
            for slot, value in zip(s.form.slots, s.initial(), strict=True):
                if not isinstance(value, str) and value > float(np.finfo(dtype).max):
                    causes = " and ".join(trait(self.rule, "starts"))
                    raise ValueError(f"{causes}: the {slot} would begin at {value:g}, which is too large for {dtype}")

    def configure(self, settings: Sequence[Settings], conduct: Conduct, steps: int, unused: bool) -> None:
        """Take new hyperparameters after so many steps; nothing changes if they are refused.

        `unused`: no step, of all or of one parameter, has used the state.
        """
        with self.lock:
            self.check(settings, conduct, unused)
            if self.settings:
                self.flush()
            before, slots, late = dict(vars(self)), self.state.slots, self.state.late
            changed = {i for i, (old, new) in enumerate(zip(self.settings, settings, strict=False)) if old != new}
            try:
                self.state.fit(settings, steps, unused)
                self.settings, self.conduct = list(settings), conduct
                if not unused:
                    self.displaced = self.displaced | self.placed(changed)
                self.frozen = frozenset(i for i, s in enumerate(settings) if s.options.frozen)
                self.guard = guard_of([*self.params.arrays, *self.state.arrays()])
                self.plan, self.lags = Plan(self, range(len(settings))), {}
            except BaseException:
                vars(self).update(before)
                self.state.slots, self.state.late = slots, late
                raise

    def placed(self, positions: Iterable[int]) -> set[int]:
        """Those of the parameters that are set by their slots."""
        return {i for i in positions if places(self.settings[i].form)}

    def reset(self) -> None:
        """The state as before the first step."""
        self.displaced.clear()
        self.plan.poll()
        self.state.reset(self.settings)
        self.warned.clear()
        self.infinite.clear()

    @property
    def behind(self) -> bool:
        """Whether some rows have yet to catch up."""
        with self.lock:
            return any(lagging.behind for lagging in self.lags.values())

    def flush(self) -> None:
        """Bring all rows of all parameters up to date; ValueError if one of their arrays has been changed."""
        with self.lock:
            self.plan.poll()
            behind = [i for i, lagging in self.lags.items() if lagging.behind]
            for i in behind:
                self.params.refuse_changed(i)
            with whole():
                for i in behind:
                    self.lags[i].recall_all(usable_threads(self.conduct.threads))

    def read(self, position: int, what: str, indices: Any) -> Any:
        """Copies of rows of one parameter, brought up to date; errors as of `checked_indices`."""
        with self.lock:
            found = self.recall(position, what, indices)
            if self.params.backend is not None:
                return self._readers[position].read(found)
            rows: FloatArray = np.take(self.params.arrays[position].view(np.ndarray), indices, axis=0)
            return rows

    def recall(self, position: int, what: str, indices: Any) -> Any:
        """Bring these rows of one parameter up to date; the indices, checked."""
        with self.lock:
            self.params.refuse_changed(position)
            array, lagging = self.params.arrays[position], self.lags.get(position)
            if array.ndim == 0:
                raise ValueError(f"{what} do not exist: the parameter is 0-dimensional")
            if self.params.backend is not None:
                if position not in self._readers:
                    self._readers[position] = device_units().DeviceReader(self.params, position)
                return self._readers[position].recall(what, indices, lagging)
            rows, found = checked_indices(what, indices, len(array))
            if lagging is not None and lagging.behind:
                with whole():
                    lagging.recall(rows, usable_threads(self.conduct.threads), distinct=found == ASCENDING)
            return rows

    def plan_one(self, position: int) -> Plan:
        """Plan for one parameter alone."""
        if self.conduct.max_global_norm:
            raise ValueError("max_global_norm needs the gradients of all parameters at once: call step")
        if trait(self.rule, "measured"):
            raise ValueError(f"{self.rule.name.upper()} measures all parameters together: call step")
        return Plan(self, [position])

    def warn_of_infinity(self, stacklevel: int) -> None:
        """Tell of accumulators that have become infinite, each once."""
        names, self.infinite = self.infinite, []
        for name in names:
            slot = self.settings[self.params.names.index(name)].form.slots[0].replace("_", " ")
            warnings.warn(
                f"the {slot} of {name!r} has become infinite (a squared gradient or their sum "
                "overflows its dtype): those elements are no longer trained; scale the loss down, clip, or use float64",
                RuntimeWarning,
                stacklevel=stacklevel + 1,
            )
