"""Keyword arguments of a linear model: each checked, and as a plain value that a file can hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ..data.columns import checked_bits
from ..engine import options
from ..engine.options import Conduct, Hyper, Settings, cast_scalars, checked, make_settings
from ..kernels.linear.losses import LOSSES, OPTIONS
from ..kernels.rules import adagrad
from ..support import attributes
from ..support.attributes import MAKING, OF_DATASETS, RUNNING
from ..support.checks import checked_number, whole_number
from ..support.hints import LINEAR_MODELS, meant_by
from . import scaling
from .rate_trials import START
from .splits import checked_validation
from .training import LAZY

OF_RULE = (
    "learning_rate",
    "momentum",
    "nesterov",
    "l1",
    "l2",
    "weight_decay",
    "decoupled_weight_decay",
    "rms_regularizer",
    "patience",
    "min_improvement",
)
OF_FIT = ("valid", "progress")
NOT_HERE = "an optimizer's or a Dataset's, and a LinearModel has none"
CHOICES = {"loss": ("auto", *LOSSES), "scale": scaling.SCALES, "lazy": LAZY}
LARGEST_BATCH = 2**31 - 1


def refuse_unknown(misspelt: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise TypeError for a keyword that a linear model has not, with the likely right one or with who takes it."""
    elsewhere = dict.fromkeys(OF_FIT, "fit takes it")
    elsewhere |= {name: f"it is {NOT_HERE}" for name in misspelt if _is_not_here(name, known)}
    options.refuse_unknown(misspelt, known, "LinearModel", LINEAR_MODELS, elsewhere)


def refuse_misplaced(model: object, name: str, known: Collection[str]) -> None:
    """Raise AttributeError for an attribute about to be set that means a keyword of a linear model, or of others."""
    own = f"{type(model).__name__}({{}}=...)"
    places = dict.fromkeys(OF_FIT, "model.fit(..., {}=...)") | dict.fromkeys(known, own)
    if _is_not_here(name, known):
        places[name] = NOT_HERE
    attributes.refuse_misplaced(model, name, places, LINEAR_MODELS)


def _is_not_here(name: str, known: Collection[str]) -> bool:
    """Whether a keyword is one of optimizers or Datasets, and a linear model has no other name for it."""
    others = {*Hyper.__annotations__, *RUNNING, *MAKING, *OF_DATASETS}
    return name in others and name not in OF_FIT and meant_by(name, known, LINEAR_MODELS) is None


def check(given: Mapping[str, Any]) -> tuple[dict[str, Any], Settings, Conduct]:
    """The arguments as plain values, and those that the rule takes as it takes them."""
    plain = dict(given)
    for name, choices in CHOICES.items():
        plain[name] = _one_of(name, given[name], choices)
    plain["batch_size"] = whole_number("batch_size", given["batch_size"], 1, LARGEST_BATCH)
    if given["max_epochs"] is not None:
        plain["max_epochs"] = whole_number("max_epochs", given["max_epochs"], 1)
    plain["hash_bits"] = checked_bits(given["hash_bits"])
    plain["seed"] = whole_number("seed", given["seed"], 0)
    plain["intercept"] = checked("intercept", given["intercept"], True)
    plain["shuffle"] = checked("shuffle", given["shuffle"], True)
    plain["validation"] = checked_validation("validation", given["validation"])
    plain["dtype"] = _float_type(given["dtype"])
    plain |= {name: _option_of_loss(name, given) for name in OPTIONS}
    if callable(given["learning_rate"]):
        raise TypeError("learning_rate must be a number: ADAGRAD's own steps shorten by themselves")
    automatic = isinstance(given["learning_rate"], str) and given["learning_rate"] == "auto"
    of_rule = {name: given[name] for name in OF_RULE} | ({"learning_rate": START} if automatic else {})
    settings, conduct = make_settings(adagrad, of_rule)
    plain |= {
        name: value
        for part in (settings.options, settings.own, conduct)
        for name, value in vars(part).items()
        if name in OF_RULE
    }
    if automatic:
        plain["learning_rate"] = "auto"
    elif plain["learning_rate"] * plain["decoupled_weight_decay"] >= 1:
        raise ValueError("learning_rate * decoupled_weight_decay must be below 1: weights would change sign")
    cast_scalars(settings, 0, np.dtype(plain["dtype"]))
    return plain, settings, conduct


def _one_of(name: str, value: Any, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, not {value!r}")
    return str(value)


def _option_of_loss(name: str, given: Mapping[str, Any]) -> float:
    loss, option = OPTIONS[name]
    value = checked_number(name, given[name])
    if not option.above < value < option.below:
        raise ValueError(f"{name} must be between {option.above:g} and {option.below:g}, and neither, not {value:g}")
    if value != option.default and given["loss"] != loss:
        raise ValueError(f"{name} is an option of the {loss} loss, and loss is {given['loss']!r}: use loss={loss!r}")
    return value


def _float_type(dtype: Any) -> type[np.floating[Any]]:
    try:
        found = None if dtype is None else np.dtype(dtype)
    except TypeError:
        found = None
    for known in (np.float32, np.float64):
        if found == known:
            return known
    raise ValueError(f"dtype must be float32 or float64, not {dtype!r}")
