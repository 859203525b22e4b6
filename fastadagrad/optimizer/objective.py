"""The user's loss: its value and its gradients on a batch, whichever way the user provides gradients."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from ..engine.parameters import FloatArray, Parameters, holds_floats
from ..engine.rows import Rows, is_sparse
from ..support.asking import UNREADABLE, asking, refuse_unreadable, shown
from ..support.log import logger
from .monitors import as_number

Gradient = Callable[..., Any] | bool | Literal["autograd"] | None


def _hashable(name: Any) -> Any:
    """A name that can be looked up in a batch; TypeError for another."""
    hash(name)
    return name


class Objective:
    """`loss(params, *batch)` and its gradients.

    Parameters
    ----------
    loss : callable
    gradient : True, callable, "autograd" or None
        True: loss returns (value, gradients). A callable returns the gradients. "autograd" derives them. None takes
        a pair if loss returns one and derives otherwise.
    params : Parameters
    inputs : sequence of str, optional
        Names that are picked out of a batch that is a dict or a DataFrame, in the order in which the loss takes them. A
        batch of as many arrays is taken in its own order.
    """

    def __init__(
        self, loss: Callable[..., Any], gradient: Gradient, params: Parameters, inputs: Sequence[str] | None
    ) -> None:
        if not callable(loss):
            raise TypeError(f"loss must be callable as loss(params, *batch), not {type(loss).__name__}")
        with asking("gradient", gradient):
            named = isinstance(gradient, str) and gradient == "autograd"
        if not (gradient is None or gradient is True or named or callable(gradient)):
            raise TypeError(f"gradient must be True, a callable, 'autograd' or None, not {shown(gradient)}")
        with asking("inputs", inputs):
            if isinstance(inputs, str):
                raise TypeError(f"inputs must be a list of names, not the string {shown(inputs)}")
            names = None if inputs is None else [*map(_hashable, inputs)]
        self._loss, self._gradient, self._params, self._inputs = loss, gradient, params, names
        self._differentiated: Callable[..., Any] | None = None
        self._told_of_conversion = False

    @property
    def derives(self) -> bool:
        """Whether autograd derives the gradients, which may become known only with the first evaluation."""
        return isinstance(self._gradient, str)

    @property
    def loss(self) -> Callable[..., Any]:
        return self._loss

    def made_of(self) -> dict[str, Any]:
        """The arguments of the optimizer's constructor that this objective was made from."""
        return {"loss": self._loss, "gradient": self._gradient, "inputs": self._inputs}

    def of(self, params: Parameters) -> Objective:
        """The loss as an objective of other parameters in the same structure."""
        return Objective(self._loss, self._gradient, params, self._inputs)

    def refuse_missing_data(self, argument: str) -> None:
        """Raise TypeError, naming the argument that should have been given, if the loss cannot do without data."""
        try:
            parameters = [*inspect.signature(self._loss).parameters.values()]
        except (TypeError, ValueError):  # of compiled functions
            return
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        needed = [each.name for each in parameters if each.kind in positional and each.default is each.empty]
        if len(needed) > 1:
            raise TypeError(
                f"{argument} is missing: loss takes {' and '.join(needed[1:])} after {needed[0]}, from data; pass "
                f"arrays, a Dataset or an iterable of batches as {argument} (None is for a loss of the parameters "
                "alone)"
            )

    def arguments(self, batch: Any) -> tuple[Any, ...]:
        """The positional arguments that the loss takes after params, made from a batch."""
        if type(batch) is tuple and self._inputs is None:  # the usual case
            return batch
        try:
            return self._arguments(batch)
        except UNREADABLE as error:
            refuse_unreadable("the batch", error)
            raise

    def _arguments(self, batch: Any) -> tuple[Any, ...]:
        if self._inputs is not None:
            parts = batch if isinstance(batch, tuple | list) else (batch,)
            source: Any = parts[0] if len(parts) == 1 else None
            # A DataFrame of polars has columns and no keys.
            names = source.keys() if hasattr(source, "keys") else getattr(source, "columns", None)
            if names is None:  # arrays, in the order in which the loss takes them
                if len(parts) != len(self._inputs):
                    raise TypeError(
                        f"inputs={[*self._inputs]} needs batches that are dicts or DataFrames with these names, or of "
                        f"{len(self._inputs)} arrays in this order, not of {len(parts)}"
                    )
                return tuple(parts)
            missing = [name for name in self._inputs if name not in names]
            if missing:
                raise ValueError(f"the batch lacks the inputs {missing}; it has {list(names)}")
            picked = (source[name] for name in self._inputs)
            return tuple(x.to_numpy() if hasattr(x, "to_numpy") else x for x in picked)
        if isinstance(batch, Mapping):
            raise TypeError("batches are dicts: pass inputs=[...], the names in the order that loss takes them")
        return tuple(batch) if isinstance(batch, tuple | list) else (batch,)

    def value(self, arguments: tuple[Any, ...]) -> float:
        return self._evaluated(arguments)[0]

    def value_and_gradients(self, arguments: tuple[Any, ...], frozen: Collection[int] = ()) -> tuple[float, list[Any]]:
        """The loss and a list of gradients, C-ordered and of the parameters' dtypes (but for the `frozen` ones)."""
        if self._gradient != "autograd":
            value, gradients = self._evaluated(arguments)
        if callable(self._gradient):
            gradients = self._gradient(self._params.given, *arguments)
        if self._gradient == "autograd":  # this evaluation may just have shown it
            value, gradients = self._derived(arguments)
        flat = self._params.flatten(gradients)
        return value, [
            gradient if i in frozen else self._brought_into_form(gradient, name, parameter)
            for i, (gradient, (name, parameter)) in enumerate(zip(flat, self._params, strict=True))
        ]

    def _evaluated(self, arguments: tuple[Any, ...]) -> tuple[float, Any]:
        """Value, and gradients if the loss returns a pair; the first result decides which is expected from then on."""
        result = self._loss(self._params.given, *arguments)
        try:
            pair = isinstance(result, tuple) and len(result) == 2
        except UNREADABLE as error:
            refuse_unreadable("the result of loss", error)
            raise
        if self._gradient is None:
            self._gradient = True if pair else "autograd"
        if self._gradient is True and not pair:
            raise TypeError(f"loss must return (value, gradients), as gradient=True says, not {type(result).__name__}")
        return as_number(result[0] if pair else result, "loss"), result[1] if pair else None

    def _derived(self, arguments: tuple[Any, ...]) -> tuple[float, Any]:
        if not self._params.place.is_numpys:
            raise TypeError(
                "gradients of device arrays cannot be derived: let loss return (value, gradients), or pass gradient="
            )
        if self._differentiated is None:
            from .autodiff import differentiated

            self._differentiated = differentiated(self._loss)
        value, gradients = self._differentiated(self._params.for_autograd(), *arguments)
        return as_number(value, "loss"), gradients

    def _brought_into_form(self, gradient: Any, name: str, parameter: FloatArray) -> Any:
        try:
            if type(gradient) is Rows:
                values = self._array_in_form(gradient.values, name, parameter)
                return gradient if values is gradient.values else replace(gradient, values=values)
            if is_sparse(gradient):
                if not holds_floats(gradient) or gradient.dtype == parameter.dtype:
                    return gradient
                self._tell_of_conversion(name, gradient, parameter)
                with np.errstate(all="ignore"):
                    return gradient.astype(parameter.dtype)
            return self._array_in_form(gradient, name, parameter)
        except UNREADABLE as error:
            refuse_unreadable(f"gradient of {name!r}", error)
            raise

    def _array_in_form(self, gradient: Any, name: str, parameter: FloatArray) -> Any:
        return self._params.place.brought_into_form(name, gradient, parameter, self._tell_of_conversion)

    def _tell_of_conversion(self, name: str, array: Any, parameter: FloatArray) -> None:
        if not holds_floats(array):
            raise TypeError(f"gradient of {name!r} must hold floats, not {array.dtype}")
        if not self._told_of_conversion:
            self._told_of_conversion = True
            message = "gradients of %r are converted each step, from %s to %s in C order"
            logger.info(message, name, array.dtype, parameter.dtype)
