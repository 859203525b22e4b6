"""The Hessian of the user's loss times vectors: by a callable, by autograd, or by differences of the gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from ..engine.parameters import FloatArray, Parameters, holds_floats, precision_at_one
from ..engine.rows import Rows, is_sparse
from ..support.asking import UNREADABLE, asking, refuse_unreadable, shown
from ..support.trees import in_structure
from .objective import Objective

ALIKE = 8.0  # parameters are moved together if the size of the largest is at most so many times that of the smallest

HessianProduct = Callable[..., Any] | Literal["autograd", "differences"] | None


def check_way(hv: Any) -> None:
    """Raise TypeError for a value of `hv` that names no way to form Hessian-vector products."""
    with asking("hv", hv):
        if not (hv is None or callable(hv) or (isinstance(hv, str) and hv in ("autograd", "differences"))):
            raise TypeError(
                f"hv must be a callable hv(params, vectors, *batch), 'autograd', 'differences' or None, not {shown(hv)}"
            )


class Curvature:
    """Products of the Hessian of a loss with vectors.

    Parameters
    ----------
    objective : Objective
    params : Parameters
    hv : callable, "autograd", "differences" or None
        None stands for "autograd" if autograd derives the gradients, else for "differences".
    """

    def __init__(self, objective: Objective, params: Parameters, hv: HessianProduct) -> None:
        self.objective, self.hv, self._params = objective, hv, params
        self._derived: Callable[..., Any] | None = None
        self._moved: tuple[Parameters, Objective] | None = None  # copies of the parameters, and the same loss of these

    def products(self, vectors: Sequence[Any], arguments: tuple[Any, ...], frozen: frozenset[int]) -> list[Any]:
        """The Hessian times `vectors`, one a parameter; vectors of frozen parameters are 0."""
        if callable(self.hv):
            given = self.hv(self._params.given, self._params.restructure(vectors), *arguments)
            flat = self._params.flatten(given, "what hv returns")
        elif not self._params.place.is_numpys:
            raise TypeError(
                "Hessian-vector products of device arrays are neither derived nor formed by differences: pass "
                "hv=, a callable hv(params, vectors, *batch)"
            )
        elif self.hv == "autograd" or (self.hv is None and self.objective.derives):
            flat = self._by_autograd(vectors, arguments)
        else:
            flat = self._by_differences(vectors, arguments, frozen)
        return [_in_form(product, array) for product, array in zip(flat, self._params.arrays, strict=True)]

    def _by_autograd(self, vectors: Sequence[Any], arguments: tuple[Any, ...]) -> list[Any]:
        if self._derived is None:
            from .autodiff import hessian_product

            self._derived = hessian_product(self.objective.loss)
        params = self._params.for_autograd()
        return self._params.flatten(self._derived(params, in_structure(params, [*vectors]), *arguments), "products")

    def _by_differences(
        self, vectors: Sequence[FloatArray], arguments: tuple[Any, ...], frozen: frozenset[int]
    ) -> list[Any]:
        """Central differences of the gradient along the vectors.

        The step to both sides balances the errors by rounding and by the curvature of the gradient between the two
        points: both are then about the square of the cube root of the precision. Parameters of other sizes need other
        steps, so that groups of parameters of like size are moved one after the other, and the results are added.
        """
        arrays = self._params.arrays
        active = [i for i in range(len(arrays)) if i not in frozen]
        products = [np.zeros_like(array) for array in arrays]
        for group, size in _groups_alike([(i, float(np.abs(arrays[i]).max(initial=1.0))) for i in active]):
            longest = max(float(np.abs(vectors[i]).max(initial=0.0)) for i in group)
            if longest == 0:
                continue
            precision = max(precision_at_one(arrays[i].dtype) for i in group)
            way = float(np.cbrt(precision)) * size / longest
            ahead, behind = (self._gradients_off_by(step, vectors, group, arguments, frozen) for step in (way, -way))
            for i in active:
                products[i] += (ahead[i] - behind[i]) / arrays[i].dtype.type(2 * way)
        return products

    def _gradients_off_by(
        self,
        step: float,
        vectors: Sequence[FloatArray],
        group: Sequence[int],
        arguments: tuple[Any, ...],
        frozen: frozenset[int],
    ) -> list[Any]:
        """Gradients at the point where the parameters of a group are moved by `step` times their vectors."""
        arrays, (moved, objective) = self._params.arrays, self._copies()
        for i, (copy, array) in enumerate(zip(moved.arrays, arrays, strict=True)):
            np.add(array, array.dtype.type(step if i in group else 0.0) * vectors[i], out=copy)
        _, gradients = objective.value_and_gradients(arguments, frozen)
        return [_written_out(g, array) for g, array in zip(gradients, arrays, strict=True)]

    def _copies(self) -> tuple[Parameters, Objective]:
        if self._moved is None:
            given = in_structure(self._params.given, [np.array(a, order="C") for a in self._params.arrays])
            copies = Parameters(given)
            self._moved = copies, self.objective.of(copies)
        return self._moved


def _groups_alike(sizes: Sequence[tuple[int, float]]) -> list[tuple[list[int], float]]:
    """Positions whose sizes are within a factor of `ALIKE` of one another, and the largest size of each group."""
    groups: list[tuple[list[int], float, float]] = []
    for i, size in sorted(sizes, key=lambda pair: pair[1]):
        if groups and size <= ALIKE * groups[-1][1]:
            members, smallest, _ = groups.pop()
            groups.append(([*members, i], smallest, size))
        else:
            groups.append(([i], size, size))
    return [(members, largest) for members, _, largest in groups]


def _written_out(gradient: Any, parameter: FloatArray) -> Any:
    """A gradient as a dense array of its own: the loss may write its next gradient into the array that it returned."""
    if type(gradient) is Rows:
        dense = np.zeros_like(parameter)
        np.add.at(dense, np.asarray(gradient.indices), gradient.values)
        return dense
    if is_sparse(gradient):
        return gradient.toarray()
    return gradient if gradient is None else np.array(gradient)


def _in_form(product: Any, parameter: Any) -> Any:
    """A product of floats, converted to C order and the parameter's dtype; other objects as they are, to be refused."""
    try:
        if not isinstance(product, np.ndarray | np.floating) or not holds_floats(product):
            return product
    except UNREADABLE as error:
        refuse_unreadable("what hv returns", error)
        raise
    with np.errstate(all="ignore"):  # an overflow becomes infinity, which the step refuses
        return np.asarray(product, parameter.dtype, order="C")
