"""What a step reads and changes: parameters, their state, what lags behind, and the numbers in force."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.rules import places
from .comm import ALONE
from .options import Conduct, Rule, Settings
from .parameters import Parameters
from .state import State


class Arena(ABC):
    """All that a step changes, and the settings by which it does; `Plan` decides how.

    A learning rate that is set before each step would cost much more than the step if all settings were made anew. So
    it is only noted, in `rate_set`: a step takes the note in the place of the learning rate that the settings of
    `followers` have, and whoever asks for `settings` lets it be put into them first.
    """

    conduct: Conduct
    frozen: frozenset[int]  # positions
    guard: NDArray[np.int64]  # where parameters and state lie

    def __init__(self, rule: Rule, params: Parameters) -> None:
        self.rule, self.params, self.state = rule, params, State(rule, params)
        self.infinite: list[str] = []  # parameters whose accumulator has become infinite, not told yet
        self.warned: set[str] = set()  # and those told
        # Positions of what its slots place, and a change has put or left elsewhere.
        self.displaced: frozenset[int] = frozenset()
        self.placed_by_rate: frozenset[int] = frozenset()  # of followers that their slots and the learning rate place
        self.comm = ALONE  # with which sums over all parameters are formed
        self.lags: dict[int, Any] = {}  # by position: `Lagging` of parameters that sparse gradients step lazily
        self.followers: frozenset[int] = frozenset()  # positions whose learning rate `rate_set` replaces
        self.rate_set: float | None = None
        self.rate_keys: list[int] = []  # ids of the options in whose place it stands
        self.changes = 0  # of parameters or state from outside a running iteration
        self._settings: list[Settings] = []

    @property
    def settings(self) -> list[Settings]:
        """Of all parameters, in their order."""
        self.settle_rate()
        return self._settings

    @property
    def unsettled(self) -> list[Settings]:
        """The same, but for a learning rate that has been set since and is still to be taken."""
        return self._settings

    @abstractmethod
    def settle_rate(self) -> None:
        """Put the learning rate that has been set into the settings."""

    @abstractmethod
    def forget_rate_range(self) -> None:
        """Find out anew which learning rates can be set: the settings, or what lags behind, have changed."""

    def placed(self, positions: Iterable[int]) -> frozenset[int]:
        """Those of the parameters that are set by their slots."""
        return frozenset(i for i in positions if places(self.settings[i].form))
