"""Contenders of a comparison: methods with hyperparameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..engine.options import hyper_names, make_settings, refuse_unknown
from ..kernels.rules import trait
from ..optimizer.methods import METHODS, method_named
from ..optimizer.second_order import SecondOrder
from ..support.asking import asking, shown
from .papers import PRESET, preset, unlike_paper
from .training import OwnTrainer, Trainer

# NAG takes part with momentum, as without it NAG is SGD.
USUAL = {"nag": "nag:momentum=0.9"}
FRAMEWORKS = ("torch", "optax", "scipy")  # whose methods take part, as fastadagrad.compare.outside describes
SET_BY_THE_COMPARISON = (
    "learning_rate",
    "lr_decay",
    "nonfinite",
    "deferred",
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
    identity: str = ""  # text that changes with what a method of another framework, or of the user's own, is made from

    @property
    def unlike_paper(self) -> tuple[str, ...]:
        """What differs from the method's paper, if that is known."""
        return unlike_paper(method_named(self.name).rule, self.options)

    @property
    def rate_free(self) -> bool:
        """Whether the method needs no learning rate, so that it runs once a seed."""
        return bool(trait(method_named(self.name).rule, "rate_free"))

    @property
    def has_lazy(self) -> bool:
        """Whether the method has the option `lazy`, which says what becomes of row-sparse gradients."""
        return True

    def build(self, loss: Any, params: Any, rate: float | None, lazy: str) -> Trainer:
        """What trains the parameters by this method, on one thread; if `rate` is None, at the method's default."""
        hyper = {"lazy": lazy, **self.options, "threads": 1, "nonfinite": "raise"}
        if rate is not None:
            hyper["learning_rate"] = rate
        method = method_named(self.name)
        if issubclass(method, SecondOrder):  # whose random vectors are the same whenever a run is made
            hyper["hv_rng"] = 0
        return OwnTrainer(method(loss, params, **hyper))


def usual_contenders() -> list[str]:
    """Every method that there is, registered ones included."""
    return [USUAL.get(name, name) for name in METHODS]


def contender_named(spec: str | type) -> Contender:
    """A method from ``name`` or ``name:option=value,option=value``.

    Parameters
    ----------
    spec : str or class
        ``name`` of a method; ``torch:Adagrad``, ``optax:adagrad``, ``scipy:L-BFGS-B``, ``module:Class`` or a class,
        which `fastadagrad.compare.outside` describes; all with options behind another colon. ``name:paper`` has the
        numbers of the method's paper, where the defaults are others.

    Raises
    ------
    ValueError, TypeError
        For an unknown method or option, or a value that the method refuses.
    RuntimeError
        If a framework is not installed.

    Examples
    --------
    >>> from fastadagrad.compare.contenders import contender_named
    >>> dict(contender_named("sgd:momentum=0.9,nesterov=1").options)
    {'momentum': 0.9, 'nesterov': 1}
    >>> contender_named("adam").unlike_paper, contender_named("adam:paper").unlike_paper
    (('beta1 0.906 (paper 0.9)', 'beta2 0.99 (paper 0.999)'), ())
    """
    with asking("methods", spec):
        if not isinstance(spec, str | type):
            expected = "names such as 'adagrad' or 'sgd:momentum=0.9', or classes"
            raise TypeError(f"methods must be {expected}, not {shown(spec)}")
    if isinstance(spec, type) or is_outside(spec):
        from .outside import outside_contender

        return outside_contender(spec)
    name, _, text = spec.partition(":")
    rule = method_named(name).rule
    parts = [part.strip() for part in text.split(",") if part.strip()]
    try:
        given = preset(rule.name) if PRESET in parts else {}
    except ValueError as error:
        raise ValueError(f"method {spec!r}: {error}") from None
    options = given | parsed_options(spec, [part for part in parts if part != PRESET], SET_BY_THE_COMPARISON)
    try:
        refuse_unknown(options, hyper_names(rule), rule.name.upper())
        make_settings(rule, options)
    except (TypeError, ValueError) as error:
        raise type(error)(f"method {spec!r}: {error}") from None
    return Contender(spec, rule.name, options)


def is_outside(spec: str) -> bool:
    """Whether a method's name on the command line is of another framework, or of a class of the user's.

    Examples
    --------
    >>> from fastadagrad.compare.contenders import is_outside
    >>> [is_outside(spec) for spec in ("torch:Adagrad", "mine:Method:decay=0.1", "adam:paper", "sgd:momentum=0.9")]
    [True, True, False, False]
    """
    name, colon, rest = spec.partition(":")
    if not colon or not name.strip() or name.lower() in METHODS:
        return False
    if name.strip() in FRAMEWORKS:
        return True
    first = rest.partition(":")[0].partition(",")[0].strip()
    return bool(first) and "=" not in first and first != PRESET


def parsed_options(spec: str, parts: Sequence[str], refused: Sequence[str]) -> dict[str, Any]:
    """Options from texts ``option=value``, none of which is `refused`."""
    options: dict[str, Any] = {}
    for part in parts:
        key, equals, value = (x.strip() for x in part.partition("="))
        if not (equals and key and value):
            raise ValueError(f"method {spec!r}: expected option=value, not {part!r}")
        if key in refused:
            raise ValueError(f"method {spec!r}: {key} is set by the comparison, alike for all: leave it out")
        options[key] = _value(value)
    return options


def _value(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def as_contenders(given: Sequence[str | type] | str | type | None) -> tuple[Contender, ...]:
    """The given methods as Contenders; by default every method that there is."""
    if given is None:
        given = usual_contenders()
    with asking("methods", given):
        specs: list[Any] = [*given] if isinstance(given, Iterable) and not isinstance(given, str | type) else [given]
        for spec in specs:
            if specs.count(spec) > 1:
                raise ValueError(f"methods: {shown(spec)} is there twice")
    if not specs:
        raise ValueError(f"methods: expected at least one of {', '.join(METHODS)}")
    found = tuple(contender_named(spec) for spec in specs)
    labels = [contender.label for contender in found]
    for label in labels:
        if labels.count(label) > 1:
            raise ValueError(f"methods: there are two called {label!r}: rename a class, or leave one out")
    return found
