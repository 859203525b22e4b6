"""Bounds of `scipy.optimize.minimize`, in either form, and the projection onto them.

Each method here divides by a metric H that is diagonal, so that the point of a box nearest to q in it,

    argmin over lower <= p <= upper of  sum_i H_i * (p_i - q_i)^2,

is found one element at a time: it is ``clip(q, lower, upper)``, whatever the H_i > 0 are. So it is with the proximal
penalties l1 and l2 and for dual averaging, where each p_i minimises a convex function of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.place import readable
from ..support.asking import shown

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Box:
    """Lower and upper bounds of each element of x, infinite where an element has none."""

    lower: Floats
    upper: Floats

    @property
    def bounded(self) -> bool:
        """Whether any element has a bound."""
        return bool(np.isfinite(self.lower).any() or np.isfinite(self.upper).any())

    @property
    def free(self) -> NDArray[np.bool]:
        """Which elements may move: those whose bounds differ."""
        return self.lower < self.upper

    def clip(self, x: Floats) -> None:
        """Project x onto the box, in place."""
        np.clip(x, self.lower, self.upper, out=x)

    def holds(self, x: Floats) -> bool:
        """Whether x lies in the box; NaN counts as lying in it."""
        return not ((x < self.lower).any() or (x > self.upper).any())

    def steepest(self, x: Floats, gradient: Floats) -> float:
        """Largest size of an element of the projected gradient, as L-BFGS-B measures it.

        An element of the gradient counts at most as much as the distance that x may move against it up to the bound.
        """
        way = np.where(gradient < 0, np.maximum(x - self.upper, gradient), np.minimum(x - self.lower, gradient))
        return float(np.abs(way).max(initial=0.0))


def box_of(bounds: Any, count: int) -> Box:
    """The box that a user's bounds describe.

    Parameters
    ----------
    bounds : scipy.optimize.Bounds, sequence of pairs (lower, upper), or None
        Bounds of x; an end that is None is infinite.
    count : int
        Number of elements of x.

    Returns
    -------
    Box

    Raises
    ------
    TypeError
        If `bounds` is of another kind, or an end is no number.
    ValueError
        If there are not as many pairs as elements, an end is NaN, or a lower bound is above its upper one.
    """
    if bounds is None:
        return Box(np.full(count, -np.inf), np.full(count, np.inf))
    new_style = hasattr(bounds, "lb") and hasattr(bounds, "ub")
    ends = (bounds.lb, bounds.ub) if new_style else _ends_of(bounds, count)
    try:
        lower, upper = (
            np.array(np.broadcast_to(np.asarray(readable("bounds", end), np.float64), (count,))) for end in ends
        )
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"bounds must have a number as each end, and as many of them as x0 has elements, {count}, not {shown(ends)}"
        ) from None
    for name, end in (("lower", lower), ("upper", upper)):
        if np.isnan(end).any():
            at = int(np.flatnonzero(np.isnan(end))[0])
            raise ValueError(f"bounds must be numbers, but the {name} bound of x[{at}] is NaN: None leaves it open")
    if (lower > upper).any():
        at = int(np.flatnonzero(lower > upper)[0])
        raise ValueError(
            f"bounds must have no lower bound above its upper one, but those of x[{at}] are {lower[at]:g} and "
            f"{upper[at]:g}"
        )
    return Box(lower, upper)


def _ends_of(bounds: Any, count: int) -> tuple[list[Any], list[Any]]:
    expected = "bounds must be a scipy.optimize.Bounds, a sequence of pairs (lower, upper), or None"
    try:
        pairs = [tuple(pair) for pair in readable("bounds", bounds)]
    except TypeError:
        raise TypeError(f"{expected}, not {shown(bounds)}") from None
    if len(pairs) != count:
        raise ValueError(f"bounds must have a pair for each of the {count} elements of x0, not {len(pairs)}")
    for i, pair in enumerate(pairs):
        if len(pair) != 2:
            raise ValueError(f"bounds[{i}] must be a pair (lower, upper), each a number or None, not {shown(pair)}")
    lower = [-np.inf if low is None else _number(low) for low, _ in pairs]
    upper = [np.inf if high is None else _number(high) for _, high in pairs]
    return lower, upper


def _number(end: Any) -> Any:
    """An end of bounds; an array of one element, which SciPy takes as well, becomes its element."""
    return end.item() if isinstance(end, np.ndarray) and end.size == 1 else end
