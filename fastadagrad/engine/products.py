"""Hessian-vector products that are given with gradients: what they have to be."""

from __future__ import annotations

from typing import Any

from .place import Place


def check_product(name: str, product: Any, parameter: Any, place: Place) -> None:
    """Raise for what is no dense product of a parameter's shape and dtype: TypeError or ValueError."""
    what = f"product of {name!r}"
    if product is None:
        raise TypeError(
            f"{what} is missing (None): pass an array of shape {parameter.shape}, the Hessian times a vector, or "
            f"freeze {name!r}"
        )
    place.check_dense(what, "product", product, parameter)
