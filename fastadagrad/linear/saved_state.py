"""The state of training in a model's file, from which training goes on: weights, slots and scales as they are.

Rows of features that training has not touched, 0 in all arrays and of size 1, are left out of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.linear.weight_arrays import Weights
from .averaging import Mean
from .fitting import State
from .scaling import Scaling
from .targets import Targets
from .training import Trained

PREFIX = "state/"
NAMES = {"method": str, "slots": list, "intercept": bool, "learning_rate": (int, float), "steps": int, "features": int}
NAMES |= {"means": list}  # visits of each of the means with which averaging goes on


def as_header(state: State) -> dict[str, Any]:
    """The part of the state that JSON holds."""
    return {
        "method": state.method,
        "slots": list(state.slots),
        "intercept": state.intercept,
        "learning_rate": state.learning_rate,
        "steps": state.trained.steps,
        "features": len(state.trained.weights.p),
        "means": [mean.visits for mean in state.means],
    }


def as_arrays(state: State) -> dict[str, NDArray[Any]]:
    """The arrays of the state, by the names that they have in the file."""
    weights, intercept, _ = state.trained
    by_feature: dict[str, NDArray[Any]] = {"weights": weights.p}
    by_feature |= {f"slot{i}": slot for i, slot in enumerate(weights.slots)}
    by_feature |= {
        name: each for name, each in (("shift", state.scaling.shift), ("size", state.scaling.size)) if each is not None
    }
    by_feature |= {f"mean{i}": mean.weights for i, mean in enumerate(state.means)}
    touched = np.zeros(len(weights.p), np.bool)
    for name, each in by_feature.items():
        changed = each != (1 if name == "size" else 0)
        touched |= changed if changed.ndim == 1 else changed.any(axis=1)
    found: dict[str, NDArray[Any]] = {"rows": np.flatnonzero(touched)}
    found |= {name: each[touched] for name, each in by_feature.items()}
    found["intercept"] = intercept.p
    found |= {f"intercept_slot{i}": slot for i, slot in enumerate(intercept.slots)}
    found |= {f"intercept_mean{i}": mean.intercept for i, mean in enumerate(state.means)}
    return {PREFIX + name: each for name, each in found.items()}


def of_file(header: Any, arrays: Mapping[str, NDArray[Any]], coef: NDArray[Any], chosen: Targets) -> State:
    """The state that a file holds.

    Raises
    ------
    KeyError, TypeError, ValueError
        If its parts are not all there, or contradict each other or the weights.
    """
    if not isinstance(header, dict) or header.keys() != NAMES.keys():
        raise ValueError("its state has not the parts that it should have")
    for name, kind in NAMES.items():
        if not isinstance(header[name], kind):  # type: ignore[arg-type]
            raise TypeError(f"the {name} of its state is {header[name]!r}")
    rows, n = arrays[PREFIX + "rows"], header["features"]
    if rows.dtype.kind not in "iu" or (rows.size and not (0 <= rows.min() and rows.max() < n)) or n != len(coef):
        raise ValueError(f"the rows of its state are not among {n} features")
    kept = arrays[PREFIX + "weights"]
    shape = (n, *coef.shape[1:])

    def whole(name: str, shape: tuple[int, ...], fill: float = 0.0) -> NDArray[Any]:
        part = arrays[PREFIX + name]
        if part.shape != (len(rows), *shape[1:]) or part.dtype.kind != "f":
            raise ValueError(f"{name} of its state is {part.dtype} of shape {part.shape}")
        array = np.full(shape, fill, part.dtype)
        array[rows] = part
        return array

    slots = range(len(header["slots"]))
    weights = Weights(whole("weights", shape), tuple(whole(f"slot{i}", shape) for i in slots), np.zeros(0, kept.dtype))
    own = [arrays[PREFIX + name] for name in ("intercept", *(f"intercept_slot{i}" for i in slots))]
    if any(each.shape != (1, *coef.shape[1:]) or each.dtype != kept.dtype for each in own):
        raise ValueError("the intercept of its state has not the shape that it should have")
    intercept = Weights(own[0], tuple(own[1:]), np.zeros(0, kept.dtype))
    scale = Scaling(
        whole("shift", (n,)) if PREFIX + "shift" in arrays else None,
        whole("size", (n,), 1.0) if PREFIX + "size" in arrays else None,
    )
    means = tuple(
        Mean(whole(f"mean{i}", shape), arrays[f"{PREFIX}intercept_mean{i}"], int(visits))
        for i, visits in enumerate(header["means"])
    )
    if any(m.intercept.shape != own[0].shape or m.intercept.dtype != np.float64 or m.visits < 1 for m in means):
        raise ValueError("the means of its state have not the shapes that they should have")
    trained = Trained(weights, intercept, header["steps"])
    slot_names = tuple(map(str, header["slots"]))
    of_header = header["method"], slot_names, header["intercept"], header["learning_rate"]
    return State(trained, scale, chosen, *of_header, means)
