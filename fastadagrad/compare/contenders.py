"""Contenders of a comparison: methods with hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..engine.options import hyper_names, make_settings, refuse_unknown
from ..kernels.rules import trait
from ..optimizer.methods import METHODS, method_named
from ..optimizer.optimizer import Optimizer

# NAG takes part with momentum, as without it NAG is SGD.
USUAL = {"nag": "nag:momentum=0.9"}
SET_BY_THE_COMPARISON = (
    "learning_rate",
    "lr_decay",
    "nonfinite",
    "threads",
    "patience",
    "validate_every",
    "min_improvement",
    "groups",
    "frozen",
)


@dataclass(frozen=True)
class Contender:
    """A method and its hyperparameters, except the learning rate."""

    label: str
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rate_free(self) -> bool:
        """Whether the method needs no learning rate, so that it runs once a seed."""
        return bool(trait(method_named(self.name).rule, "rate_free"))

    def build(self, loss: Any, params: Any, rate: float | None, lazy: str) -> Optimizer:
        """An optimizer on one thread; if `rate` is None, it has the method's default."""
        hyper = {"lazy": lazy, **self.options, "threads": 1, "nonfinite": "raise"}
        if rate is not None:
            hyper["learning_rate"] = rate
        return method_named(self.name)(loss, params, **hyper)


def usual_contenders() -> list[str]:
    """Every method that there is, registered ones included."""
    return [USUAL.get(name, name) for name in METHODS]


def contender_named(spec: str) -> Contender:
    """A method from ``name`` or ``name:option=value,option=value``.

    Raises
    ------
    ValueError, TypeError
        For an unknown method or option, or a value that the method refuses.

    Examples
    --------
    >>> from fastadagrad.compare.contenders import contender_named
    >>> dict(contender_named("sgd:momentum=0.9,nesterov=1").options)
    {'momentum': 0.9, 'nesterov': 1}
    """
    if not isinstance(spec, str):
        raise TypeError(f"methods must be names such as 'adagrad' or 'sgd:momentum=0.9', not {spec!r}")
    name, _, text = spec.partition(":")
    rule = method_named(name).rule
    options: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        key, equals, value = (x.strip() for x in part.partition("="))
        if not (equals and key and value):
            raise ValueError(f"method {spec!r}: expected option=value, not {part!r}")
        if key in SET_BY_THE_COMPARISON:
            raise ValueError(f"method {spec!r}: {key} is set by the comparison, alike for all: leave it out")
        options[key] = _value(value)
    try:
        refuse_unknown(options, hyper_names(rule), rule.name.upper())
        make_settings(rule, options)
    except (TypeError, ValueError) as error:
        raise type(error)(f"method {spec!r}: {error}") from None
    return Contender(spec, rule.name, options)


def _value(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def as_contenders(given: Sequence[str] | str | None) -> tuple[Contender, ...]:
    """The given methods as Contenders; by default every method that there is."""
    specs = usual_contenders() if given is None else [given] if isinstance(given, str) else list(given)
    if not specs:
        raise ValueError(f"methods: expected at least one of {', '.join(METHODS)}")
    for spec in specs:
        if specs.count(spec) > 1:
            raise ValueError(f"methods: {spec!r} is there twice")
    return tuple(contender_named(spec) for spec in specs)
