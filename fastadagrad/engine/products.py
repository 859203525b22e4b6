"""Checks of the Hessian-vector products that are given with gradients."""

from __future__ import annotations

from typing import Any

from .place import Place


def check_product(name: str, product: Any, parameter: Any, place: Place) -> None:
    """Raise TypeError or ValueError unless a product is a dense array of its parameter's shape and dtype."""
    what = f"product of {name!r}"
    if product is None:
        raise TypeError(
            f"{what} is missing (None): pass an array of shape {parameter.shape}, the Hessian times a vector, or "
            f"freeze {name!r}"
        )
    place.check_dense(what, "product", product, parameter)
