"""Hessian-vector products that are given with gradients: what they have to be."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..device.arrays import DeviceArray
from ..kernels.finite import all_finite
from .parameters import device_gradient, form_refusal


def checked_product(name: str, product: Any, parameter: Any) -> None:
    """Raise for what is no dense product of a parameter's shape and dtype: TypeError or ValueError."""
    what = f"product of {name!r}"
    if product is None:
        raise TypeError(
            f"{what} is missing (None): pass an array of shape {parameter.shape}, the Hessian times a vector, or "
            f"freeze {name!r}"
        )
    if isinstance(parameter, DeviceArray):
        device_gradient(what, "product", product, parameter.shape, [parameter.dtype], parameter.backend)
        return
    refusal = form_refusal(what, "product", product, parameter.shape, parameter.dtype)
    if refusal:
        raise refusal


def is_finite(name: str, product: Any, parameter: Any) -> bool:
    """Whether a product that has been checked holds neither NaN nor infinity."""
    if isinstance(parameter, DeviceArray):
        from ..device.norms import squared_norm  # which needs a compiler for GPUs

        return bool(np.isfinite(squared_norm(name, product, parameter)))
    return bool(all_finite(product.view(np.ndarray).reshape(-1)))
