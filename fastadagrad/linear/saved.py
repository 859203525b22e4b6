"""Files of linear models: writing a fitted model, and reading one with checks that its parts fit together.

`numpy.load(file)["coef"]` gives the weights. Where most of many weights are 0, a file has only the others instead:
`coef_values`, their `coef_positions` in the flat array, and its `coef_shape`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.memory_at_hand import LITTLE
from ..data.roles import Columns
from ..data.tables import LARGEST_WIDTH
from ..kernels.linear.losses import CLASSES, LOSSES
from ..support import array_file
from .few_weights import FewWeights
from .fitting import State
from .saved_state import StoredState, parts_of
from .targets import OF_CLASSES, Targets, option_of

KIND = "linear model"
SMALL = 1 << 16  # bytes of weights that are written as they are, whatever they hold


@dataclass(frozen=True)
class Fitted:
    """All contents of a model's file; the arrays and `targets` are as in LinearModel."""

    parameters: dict[str, Any]
    coef: NDArray[np.float64] | FewWeights
    intercept: NDArray[np.float64]
    targets: Targets
    history: list[dict[str, float]]
    best_epoch: int
    stopped_because: str
    feature_names: tuple[str, ...] | None
    zero_based: bool | None
    learning_rate: float
    columns: Columns | None = None
    state: State | StoredState | None = None


def write(path: array_file.Target, fitted: Fitted) -> None:
    """Write a model; its parameters, except the dtype, must be of types that JSON has."""
    header = {
        "parameters": {**fitted.parameters, "dtype": np.dtype(fitted.parameters["dtype"]).name},
        "loss": fitted.targets.loss,
        "centre": fitted.targets.centre,
        "spread": fitted.targets.spread,
        "history": fitted.history,
        "best_epoch": fitted.best_epoch,
        "stopped_because": fitted.stopped_because,
        "feature_names": fitted.feature_names,
        "zero_based": fitted.zero_based,
        "learning_rate": fitted.learning_rate,
    }
    arrays = {**_stored(fitted.coef), "intercept": fitted.intercept}
    if fitted.targets.classes is not None:
        arrays["classes"] = fitted.targets.classes
    if fitted.columns is not None:
        header["columns"] = asdict(fitted.columns)
    if fitted.state is not None:
        header["state"], of_state = parts_of(fitted.state)
        arrays |= of_state
    array_file.write(path, KIND, header, arrays)


def read(path: array_file.Target) -> Fitted:
    """Read a model; ValueError if its parts are not all there or contradict each other."""
    header, arrays = array_file.read(path, KIND)
    try:
        _check_header(header)
        loss, classes = header["loss"], arrays.get("classes")
        if classes is not None and classes.dtype.kind == "S":  # older files have labels as bytes
            classes = np.char.decode(classes, "utf-8")
        option = option_of(loss, header["parameters"])
        coef = _restored(arrays)
        _check_arrays(loss, classes, coef.shape, arrays["intercept"])
        _check_numbers(coef=coef.values if isinstance(coef, FewWeights) else coef, intercept=arrays["intercept"])
        names = header["feature_names"]
        if names is not None and len(names) != coef.shape[0]:
            raise ValueError(f"{len(names)} feature_names for {coef.shape[0]} features")
        chosen = Targets(loss, classes, header["centre"], header["spread"], option)
        columns = _columns(header["columns"]) if "columns" in header else None
        state = None
        if "state" in header:
            state = StoredState(header["state"], arrays, coef.shape, chosen)
    except KeyError as error:
        raise refusal(path, f"{error.args[0]} is missing") from None
    except (TypeError, ValueError) as error:
        raise refusal(path, error) from None
    return Fitted(
        header["parameters"],
        coef,
        arrays["intercept"],
        chosen,
        header["history"],
        header["best_epoch"],
        header["stopped_because"],
        None if names is None else tuple(names),
        header["zero_based"],
        header["learning_rate"],
        columns,
        state,
    )


def _stored(coef: NDArray[np.float64] | FewWeights) -> dict[str, NDArray[Any]]:
    """The weights as arrays of a file: all of them, or only those that are not 0 if these take less room."""
    if isinstance(coef, FewWeights):
        return {
            "coef_values": coef.values,
            "coef_positions": coef.positions,
            "coef_shape": np.array(coef.shape, np.int64),
        }
    coef = np.ascontiguousarray(coef)
    if coef.nbytes <= SMALL:
        return {"coef": coef}
    bits = coef.reshape(-1).view(np.uint64)  # of -0.0 they are not 0
    position = np.dtype(np.uint32 if coef.size <= 2**32 else np.uint64)
    if np.count_nonzero(bits) * (coef.itemsize + position.itemsize) >= coef.nbytes:
        return {"coef": coef}
    positions = np.flatnonzero(bits)
    return {
        "coef_values": coef.reshape(-1)[positions],
        "coef_positions": positions.astype(position),
        "coef_shape": np.array(coef.shape, np.int64),
    }


def _restored(arrays: Mapping[str, NDArray[Any]]) -> NDArray[Any] | FewWeights:
    """The weights from the arrays of a file; KeyError or ValueError if they are not all there or make no sense.

    A few weights of many stay as they are, if all of them would take more than a little memory.
    """
    if "coef_values" not in arrays:
        return np.asarray(arrays["coef"], order="C")
    values, positions, shape = (arrays[f"coef_{name}"] for name in ("values", "positions", "shape"))
    if shape.ndim != 1 or shape.size not in (1, 2) or shape.dtype != np.int64 or shape.min() < 0:
        raise ValueError(f"coef_shape is {shape.tolist()!r} of {shape.dtype}")
    if shape[0] > LARGEST_WIDTH:
        raise ValueError(f"coef_shape is {shape.tolist()!r}, and no model has more than {LARGEST_WIDTH} features")
    size = math.prod(shape.tolist())
    if values.dtype != np.float64 or values.ndim != 1 or values.shape != positions.shape:
        raise ValueError(f"coef_values of {values.dtype} and shape {values.shape} at positions {positions.shape}")
    if positions.dtype.kind != "u" or np.any(positions[1:] <= positions[:-1]) or np.any(positions[-1:] >= size):
        raise ValueError(f"coef_positions, of {positions.dtype}, do not rise within {size}")
    found = FewWeights(values, positions, tuple(shape.tolist()))
    return found if 8 * size > LITTLE else found.dense()


def _columns(header: Any) -> Columns:
    """The named columns of the training, checked."""
    found = Columns(**{**header, "numbers": tuple(header["numbers"]), "categories": tuple(header["categories"])})
    names = [*found.numbers, *found.categories, *(each for each in (found.target, found.weight) if each is not None)]
    fill = found.fill
    if not all(isinstance(name, str) for name in names) or (
        fill is not None and not (isinstance(fill, dict) and all(map(_is_finite, fill.values())))
    ):
        raise ValueError(f"columns are {header!r}")
    return found


def refusal(path: array_file.Target, reason: object) -> ValueError:
    """The error for a file of whose content no model can be made."""
    return ValueError(f"{array_file.name_of(path)} is a damaged fastadagrad {KIND} file: {reason}")


def _check_header(header: Any) -> None:
    if not isinstance(header, Mapping):
        raise TypeError("its header is no object")
    names, history = header["feature_names"], header["history"]
    sound = {
        "parameters": isinstance(header["parameters"], dict),
        "loss": isinstance(header["loss"], str) and header["loss"] in LOSSES,
        "centre": _is_finite(header["centre"]),
        "spread": _is_finite(header["spread"]) and header["spread"] > 0,
        "history": isinstance(history, list) and all(map(_is_entry, history)),
        "best_epoch": type(header["best_epoch"]) is int and 0 <= header["best_epoch"] <= len(history),
        "stopped_because": isinstance(header["stopped_because"], str),
        "feature_names": names is None or (isinstance(names, list) and all(isinstance(each, str) for each in names)),
        "zero_based": header["zero_based"] is None or isinstance(header["zero_based"], bool),
        "learning_rate": _is_finite(header["learning_rate"]) and header["learning_rate"] >= 0,
    }
    for name in header:
        if name not in sound and name not in ("columns", "state"):
            raise ValueError(f"{name} is not known")
    for name, good in sound.items():
        if not good:
            raise ValueError(f"{name} is {header[name]!r}")


def _is_number(value: Any) -> bool:
    """Whether a value is a number that a float can hold."""
    return type(value) is float or (type(value) is int and abs(value) <= sys.float_info.max)


def _is_finite(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value)


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and all(map(_is_number, entry.values()))


def _check_arrays(loss: str, classes: NDArray[Any] | None, shape: tuple[int, ...], intercept: NDArray[Any]) -> None:
    outputs, kind = (), LOSSES[loss].labels
    if (classes is not None) != (kind in OF_CLASSES):
        raise ValueError(f"{loss} loss {'without' if classes is None else 'with'} classes")
    if classes is not None:
        if classes.ndim != 1 or classes.dtype.kind not in "biufUS" or len(np.unique(classes)) != len(classes):
            raise ValueError(f"classes are {classes.dtype} of shape {classes.shape}, or repeated")
        if np.any(classes[1:] < classes[:-1]) or len(classes) < 2 or (kind != CLASSES and len(classes) > 2):
            raise ValueError(f"{loss} loss with the {len(classes)} classes {classes.tolist()[:10]}")
        outputs = classes.shape if kind == CLASSES else ()
    if shape[1:] != outputs or not shape or intercept.shape != outputs:
        raise ValueError(f"coef of shape {shape} and intercept of shape {intercept.shape} for {loss} loss")


def _check_numbers(**arrays: NDArray[Any]) -> None:
    for name, array in arrays.items():
        if array.dtype != np.float64 or not np.isfinite(array).all():
            raise ValueError(f"{name} is {array.dtype}, or not finite")
