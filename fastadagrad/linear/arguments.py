"""Checks of the keyword arguments of a linear model, which also make plain values of them that a file can hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ..data.columns import checked_bits
from ..engine import options
from ..engine.given import MOST, checked
from ..engine.options import Conduct, Hyper, Rule, Settings, cast_scalars, make_settings
from ..kernels.linear.losses import LOSSES, OPTIONS
from ..kernels.rules import trait
from ..support import attributes
from ..support.asking import asking, shown
from ..support.attributes import MAKING, OF_DATASETS, RUNNING
from ..support.checks import checked_number, one_of, whole_number
from ..support.hints import LINEAR_MODELS, meant_by
from . import scaling
from .methods import default_rate, finds_rate, implicit_refusal, own_hyper, rule_for, takers_of
from .splits import checked_validation
from .training import LAZY

OF_ALL_METHODS = (
    "learning_rate",
    "momentum",
    "nesterov",
    "l1",
    "l2",
    "weight_decay",
    "decoupled_weight_decay",
    "patience",
    "min_improvement",
)
OF_FIT = ("valid", "progress", "sample_weight", "checkpoint", "every", "keep", "resume", "comm")
NOT_HERE = "an optimizer's or a Dataset's, and a LinearModel has none"
CHOICES = {"loss": ("auto", *LOSSES), "scale": scaling.SCALES, "lazy": LAZY}
LARGEST_BATCH = 2**31 - 1


def refuse_unknown(given: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """All keywords of a model; those of its method alone, in `own`, have the method's defaults if they are not given.

    Raises
    ------
    TypeError
        For a keyword that the model does not have; the message says which was likely meant, or where it belongs.
    ValueError
        If there is no such method.
    """
    rule = rule_for(given["method"])
    known = {**given, **own_hyper(rule)}
    elsewhere = dict.fromkeys(OF_FIT, "fit takes it")
    elsewhere |= {name: of_others(name, rule) for name in own if name not in known and takers_of(name)}
    elsewhere |= {name: f"it is {NOT_HERE}" for name in own if name not in elsewhere and _is_not_here(name, known)}
    options.refuse_unknown(own, known, "LinearModel", LINEAR_MODELS, elsewhere)
    return {**known, **own}


def of_others(name: str, rule: Rule) -> str:
    """For a message: the methods that have a hyperparameter, and what a method has in its place."""
    own = ", ".join(own_hyper(rule)) or "none"
    return f"it is for method {' or '.join(map(repr, takers_of(name)))}; of its own, {rule.name!r} has {own}"


def refuse_misplaced(model: object, name: str, known: Collection[str]) -> None:
    """Raise AttributeError if an attribute that is to be set has the name of a keyword, which is given elsewhere."""
    own = f"{type(model).__name__}({{}}=...)"
    places = dict.fromkeys(OF_FIT, "model.fit(..., {}=...)") | dict.fromkeys(known, own)
    if name not in known and takers_of(name):
        places[name] = f"{type(model).__name__}(method=..., {{}}=...)"
    elif _is_not_here(name, known):
        places[name] = NOT_HERE
    attributes.refuse_misplaced(model, name, places, LINEAR_MODELS)


def _is_not_here(name: str, known: Collection[str]) -> bool:
    """Whether a keyword is one of optimizers or Datasets for which a linear model has no keyword of its own."""
    others = {*Hyper.__annotations__, *RUNNING, *MAKING, *OF_DATASETS}
    return name in others and name not in OF_FIT and meant_by(name, known, LINEAR_MODELS) is None


def check(given: Mapping[str, Any]) -> tuple[dict[str, Any], Settings, Conduct]:
    """The arguments as plain values, and the settings and the conduct that are made of them."""
    plain = dict(given)
    for name, choices in CHOICES.items():
        plain[name] = one_of(name, given[name], choices)
    plain["batch_size"] = whole_number("batch_size", given["batch_size"], 1, LARGEST_BATCH)
    if given["max_epochs"] is not None:
        plain["max_epochs"] = whole_number("max_epochs", given["max_epochs"], 1)
    plain["hash_bits"] = checked_bits(given["hash_bits"])
    plain["seed"] = whole_number("seed", given["seed"], 0)
    plain["intercept"] = checked("intercept", given["intercept"], True)
    plain["shuffle"] = checked("shuffle", given["shuffle"], True)
    plain["warm_start"] = checked("warm_start", given["warm_start"], True)
    plain["average"] = _average(given["average"])
    plain["validation"] = checked_validation("validation", given["validation"])
    plain["dtype"] = _float_type(given["dtype"])
    plain |= {name: _option_of_loss(name, given) for name in OPTIONS}
    plain["method"] = (rule := rule_for(given["method"])).name
    rate, automatic = _rate(given["learning_rate"], rule)
    of_rule = {name: given[name] for name in (*OF_ALL_METHODS, *own_hyper(rule))} | {"learning_rate": rate}
    settings, conduct = make_settings(rule, of_rule)
    plain |= {
        name: value
        for part in (settings.options, settings.own, conduct)
        for name, value in vars(part).items()
        if name in of_rule
    }
    plain["implicit"] = _implicit(given["implicit"], settings, plain["batch_size"])
    if automatic or given["learning_rate"] is None:
        plain["learning_rate"] = given["learning_rate"]
    if not automatic and settings.learning_rate_at(0) * plain["decoupled_weight_decay"] >= 1:
        raise ValueError("learning_rate * decoupled_weight_decay must be below 1: weights would change sign")
    cast_scalars(settings, 0, np.dtype(plain["dtype"]))
    return plain, settings, conduct


def _rate(given: Any, rule: Rule) -> tuple[Any, bool]:
    """The learning rate to begin with, and whether another one is to be found by trial."""
    if callable(given):
        raise TypeError("learning_rate must be a number: a schedule would have to know how many examples there are")
    with asking("learning_rate", given):
        automatic = finds_rate(given, rule.name)
    if automatic and not trait(rule, "takes_rate"):
        raise ValueError(f"learning_rate='auto' finds nothing for {rule.name.upper()}, which goes by no learning rate")
    return default_rate(rule) if automatic or given is None else given, automatic


def _average(value: Any) -> bool | int | str:
    with asking("average", value):
        if isinstance(value, str):
            if value != "auto":
                raise ValueError(f"average must be True, False, 'auto' or a number of epochs, not {shown(value)}")
            return value
        if isinstance(value, bool | np.bool):
            return bool(value)
    return whole_number("average", value, 1, MOST)


def _implicit(value: Any, settings: Settings, batch_size: int) -> bool | None:
    if value is None:
        return None
    if checked("implicit", value, True) and (reason := implicit_refusal(settings, batch_size)) is not None:
        raise ValueError(f"implicit=True is not possible: {reason}")
    return bool(value)


def _option_of_loss(name: str, given: Mapping[str, Any]) -> float:
    loss, option = OPTIONS[name]
    value = checked_number(name, given[name])
    if not option.above < value < option.below:
        raise ValueError(f"{name} must be between {option.above:g} and {option.below:g}, and neither, not {value:g}")
    if value != option.default and given["loss"] != loss:
        raise ValueError(f"{name} is an option of the {loss} loss, and loss is {given['loss']!r}: use loss={loss!r}")
    return value


def _float_type(dtype: Any) -> type[np.floating[Any]]:
    with asking("dtype", dtype):
        try:
            found = None if dtype is None else np.dtype(dtype)
        except TypeError:
            found = None
    for known in (np.float32, np.float64):
        if found == known:
            return known
    raise ValueError(f"dtype must be float32 or float64, not {shown(dtype)}")
