"""The arena of a step: the parameters, their state, the rows that lag behind, and the settings in force."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.rules import places
from .comm import ALONE
from .options import Conduct, Rule, Settings
from .parameters import Parameters
from .state import State


class Arena(ABC):
    """All that a step reads and changes; a `Plan` decides which units do it.

    Where a learning rate is set before each step, making all settings anew would cost much more than the step. So the
    rate is only noted, in `rate_set`. A step uses the noted rate in the place of the rate in the settings of
    `followers`; whoever reads `settings` has the noted rate put into them first.
    """

    conduct: Conduct
    frozen: frozenset[int]  # positions
    guard: NDArray[np.int64]  # address intervals of parameters and state, which no gradient may overlap

    def __init__(self, rule: Rule, params: Parameters) -> None:
        self.rule, self.params, self.state = rule, params, State(rule, params)
        self.infinite: list[str] = []  # parameters whose accumulator has become infinite without a warning yet
        self.warned: set[str] = set()  # parameters whose accumulator has been warned of
        # Positions of parameters that are computed from their slots, but are not where the slots place them now, as the
        # user has written them or a setting has changed.
        self.displaced: frozenset[int] = frozenset()
        self.placed_by_rate: frozenset[int] = frozenset()  # followers computed from their slots and the learning rate
        self.comm = ALONE  # the processes that step parts of the same parameters
        # Parameters, by position, for which this returns unequal values are not stepped by the same unit.
        self.apart: Callable[[int], object] = lambda position: None
        self.lags: dict[int, Any] = {}  # by position: `Lagging` of parameters that sparse gradients step lazily
        self.followers: frozenset[int] = frozenset()  # positions whose learning rate `rate_set` replaces
        self.rate_set: float | None = None
        self.rate_keys: list[int] = []  # ids of the options whose learning rate `rate_set` replaces
        self.deferring: Any = None  # the unit that the GPU may have left out steps of
        self.changes = 0  # of parameters or state from outside a running iteration
        self._settings: list[Settings] = []

    @property
    def settings(self) -> list[Settings]:
        """The settings of all parameters, in their order."""
        self.settle_rate()
        return self._settings

    @property
    def unsettled(self) -> list[Settings]:
        """The settings of all parameters, without a learning rate that is noted in `rate_set`."""
        return self._settings

    @abstractmethod
    def settle_rate(self) -> None:
        """Put the learning rate that is noted in `rate_set`, if there is one, into the settings."""

    @abstractmethod
    def forget_rate_range(self) -> None:
        """Have it found out anew which learning rates can be noted: settings, or rows that lag behind, have changed."""

    def placed(self, positions: Iterable[int]) -> frozenset[int]:
        """Those of the positions whose parameters are computed from their slots (rules with `place`)."""
        return frozenset(i for i in positions if places(self.settings[i].form))
