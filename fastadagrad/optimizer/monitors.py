"""Monitors: quantities that are computed on each batch and averaged over an epoch, weighted by samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..engine.parameters import Parameters
from ..engine.place import array_of, plain
from ..support.asking import UNREADABLE, asking, refuse_unreadable, shown

Monitor = Callable[..., Any]


def as_number(value: Any, what: str) -> float:
    """The number that a function has returned, as a float; TypeError, naming `what` returned it, if it is none."""
    try:
        if isinstance(value, float | np.floating):  # the usual case comes first, as every batch takes this path
            return float(value)
        return _number_of(value, what)
    except UNREADABLE as error:
        refuse_unreadable(what, error)
        raise


def _number_of(value: Any, what: str) -> float:
    found = array_of(what, value)
    if found is not None and not isinstance(found, np.ndarray):
        if found.size != 1:
            raise TypeError(f"{what} must return a single number, not an array of shape {found.shape}")
        value = found.to_host()[()] if found.ndim == 0 else found.to_host()
    elif found is not None:
        value = found  # also of a tensor that requires a gradient
    try:
        array = np.asarray(plain(what, value))
    except ValueError:  # a ragged list
        raise TypeError(f"{what} must return a single number, not {shown(value)}") from None
    if array.size != 1:
        raise TypeError(f"{what} must return a single number, not an array of shape {array.shape}")
    try:
        return float(value if array.ndim == 0 else array.reshape(()))
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{what} must return a number, not {shown(value)}") from None


class Monitors:
    """Named callables (params, *batch) -> number, and the squared norms of the gradients if asked for.

    Parameters
    ----------
    monitors : dict or iterable of (name, callable)
    params : Parameters
    gradients : bool
        Adds ``grad(name)`` for each parameter.
    """

    def __init__(
        self, monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]], params: Parameters, gradients: bool
    ) -> None:
        with asking("monitors", monitors):
            pairs: list[tuple[str, Monitor]] = []
            for pair in monitors.items() if isinstance(monitors, Mapping) else monitors:
                if not (isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[0], str)):
                    raise TypeError(f"monitors must be a dict or (name, callable) pairs, not {shown(pair)}")
                if not callable(pair[1]):
                    raise TypeError(f"monitor {shown(pair[0])} must be callable as monitor(params, *batch)")
                pairs.append((pair[0], pair[1]))
        own = ["loss", *(f"grad({name})" for name in params.names if gradients)]
        names = [*own, *(name for name, _ in pairs)]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"monitor {name!r} is named twice ({', '.join(map(repr, own))} are always there)")
        self._pairs, self._params, self.of_gradients = pairs, params, gradients

    def made_of(self) -> dict[str, Any]:
        """The arguments of the optimizer's constructor that these monitors were made from."""
        return {"monitors": self._pairs, "monitor_gradients": self.of_gradients}

    @property
    def custom(self) -> bool:
        """Whether there are monitors of the user's own."""
        return bool(self._pairs)

    def measure(self, loss: float, gradients: list[Any] | None, arguments: tuple[Any, ...]) -> dict[str, float]:
        """Values of all monitors on one batch."""
        values = {"loss": loss}
        for name, monitor in self._pairs:
            values[name] = as_number(monitor(self._params.given, *arguments), f"monitor {name!r}")
        if self.of_gradients and gradients is not None:
            norm = self._params.place.squared_norm
            for (name, parameter), gradient in zip(self._params, gradients, strict=True):
                values[f"grad({name})"] = 0.0 if gradient is None else norm(name, gradient, parameter)
        return values


class WeightedMean:
    """Means of monitors over batches of unequal size."""

    def __init__(self, sums: Mapping[str, float] | None = None, weight: float = 0.0) -> None:
        self.sums, self.weight = dict(sums or {}), weight

    def add(self, values: Mapping[str, float], weight: float) -> None:
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + weight * value
        self.weight += weight

    def means(self) -> dict[str, float]:
        return {name: total / self.weight if self.weight else math.nan for name, total in self.sums.items()}
