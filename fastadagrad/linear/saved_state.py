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

PREFIX = "state/"  # of the names of its arrays in the file
NAMES = {"method": str, "slots": list, "intercept": bool, "learning_rate": (int, float), "steps": int, "features": int}
NAMES |= {"means": list}  # visits of each of the means with which averaging goes on


def parts_of(state: State | StoredState) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What a file holds of a state, in JSON and as arrays."""
    return state.parts if isinstance(state, StoredState) else (_as_header(state), _as_arrays(state))


def _as_header(state: State) -> dict[str, Any]:
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


def _as_arrays(state: State) -> dict[str, NDArray[Any]]:
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


class StoredState:
    """The state that a file holds, checked, of which whole arrays are made once training goes on.

    Parameters
    ----------
    header : object
        The part of the state that JSON holds.
    arrays : mapping of str to ndarray
        All arrays of the file.
    shape : tuple of int
        That of the model's weights.
    targets : Targets
        The model's loss and labels.

    Raises
    ------
    KeyError, TypeError, ValueError
        If parts of the state are not all there, or contradict each other or the weights.
    """

    def __init__(
        self, header: Any, arrays: Mapping[str, NDArray[Any]], shape: tuple[int, ...], targets: Targets
    ) -> None:
        if not isinstance(header, dict) or header.keys() != NAMES.keys():
            raise ValueError("its state has not the parts that it should have")
        for name, kind in NAMES.items():
            if not isinstance(header[name], kind):  # type: ignore[arg-type]
                raise TypeError(f"the {name} of its state is {header[name]!r}")
        self._header, self._shape, self._targets = header, shape, targets
        self._arrays = {name.removeprefix(PREFIX): each for name, each in arrays.items() if name.startswith(PREFIX)}
        self._slots, self._means = range(len(header["slots"])), range(len(header["means"]))
        self._check()

    def _check(self) -> None:
        rows, n = self._arrays["rows"], self._header["features"]
        inside = rows.dtype.kind in "iu" and rows.ndim == 1 and (not rows.size or (0 <= rows.min() <= rows.max() < n))
        if not inside or n != self._shape[0]:
            raise ValueError(f"the rows of its state are not among {n} features")
        scales = [name for name in ("shift", "size") if name in self._arrays]
        by_feature = ["weights", *(f"slot{i}" for i in self._slots), *(f"mean{i}" for i in self._means)]
        for name in (*by_feature, *scales):
            part, shape = self._arrays[name], () if name in scales else self._shape[1:]
            if part.shape != (len(rows), *shape) or part.dtype.kind != "f":
                raise ValueError(f"{name} of its state is {part.dtype} of shape {part.shape}")
        of_one, kind = (1, *self._shape[1:]), self._arrays["weights"].dtype
        if any(each.shape != of_one or each.dtype != kind for each in self._intercept):
            raise ValueError("the intercept of its state has not the shape that it should have")
        for i, visits in zip(self._means, self._header["means"], strict=True):
            of_intercept = self._arrays[f"intercept_mean{i}"]
            if of_intercept.shape != of_one or of_intercept.dtype != np.float64 or not _is_count(visits):
                raise ValueError("the means of its state have not the shapes that they should have")

    @property
    def _intercept(self) -> list[NDArray[Any]]:
        """The intercept and its slots."""
        return [self._arrays[name] for name in ("intercept", *(f"intercept_slot{i}" for i in self._slots))]

    def _whole(self, name: str, fill: float = 0.0) -> NDArray[Any]:
        """An array that has a row for each feature, `fill` where training has not touched it."""
        part = self._arrays[name]
        array = np.full((self._shape[0], *part.shape[1:]), fill, part.dtype)
        array[self._arrays["rows"]] = part
        return array

    @property
    def parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """What a file holds of the state, in JSON and as arrays."""
        return self._header, {PREFIX + name: each for name, each in self._arrays.items()}

    def state(self) -> State:
        """The state."""
        header, arrays = self._header, self._arrays
        nothing = np.zeros(0, arrays["weights"].dtype)
        weights = Weights(self._whole("weights"), tuple(self._whole(f"slot{i}") for i in self._slots), nothing)
        intercept = Weights(self._intercept[0], tuple(self._intercept[1:]), nothing)
        shift = self._whole("shift") if "shift" in arrays else None
        scale = Scaling(shift, self._whole("size", 1.0) if "size" in arrays else None)
        means = tuple(
            Mean(self._whole(f"mean{i}"), arrays[f"intercept_mean{i}"], visits)
            for i, visits in zip(self._means, header["means"], strict=True)
        )
        trained = Trained(weights, intercept, header["steps"])
        of_header = header["method"], tuple(map(str, header["slots"])), header["intercept"], header["learning_rate"]
        return State(trained, scale, self._targets, *of_header, means)


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0
