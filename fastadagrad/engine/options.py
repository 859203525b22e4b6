"""Hyperparameters: their checks, groups of parameters, and the scalars that the kernels take."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from operator import itemgetter
from typing import Any, Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from ..kernels.motion import slot_names
from ..kernels.rules import COMMON, documented, form_of, places, trait
from ..support.asking import asking
from ..support.checks import checked_number
from ..support.hints import KEYWORDS, Foreign, hint, ours_for
from .given import checked, of_group
from .registry import reference_to, rule_at, rule_named, rule_names
from .typed_keywords import Hyper as Hyper
from .typed_keywords import Schedule as Schedule


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options that every method takes, and of which a group of parameters may have its own."""

    learning_rate: float | Schedule = documented(
        1e-4, "a, the size of the steps; a callable is given the number of the step, 0 at the first."
    )
    momentum: float = documented(0.0, "m, the share of its velocity that a parameter keeps, in [0, 1).")
    nesterov: bool = documented(False, "Move by Nesterov's form of momentum.")
    lr_decay: float = documented(0.0, "The rate of step t, 0 at the first, is a / (1 + t * lr_decay).")
    weight_decay: float = documented(0.0, "Share of the parameter that is added to its clipped gradient.")
    decoupled_weight_decay: float = documented(0.0, "w: the parameter is multiplied by 1 - a*w before it moves.")
    l1: float = documented(0.0, "Proximal penalty l1*|p| in the metric H; it makes parameters 0. Not with momentum.")
    l2: float = documented(0.0, "Proximal penalty l2/2*p*p in the metric H. Not with momentum.")
    max_gradient_elem: float = documented(0.0, "Clip each element of a gradient to at most this size; 0 is off.")
    max_gradient_norm: float = documented(
        0.0, "Scale each parameter's gradient to at most this norm; 0 is off. `max_gradient_elem` comes before it."
    )
    accumulator: Literal["element", "row", "tensor"] = documented(
        "element",
        "One G an element; one per index of axis 0, of mean squares; or one a parameter, of the sum (AdaGrad-Norm).",
    )
    lazy: Literal["exact", "touched", "dense"] = documented(
        "exact",
        "What becomes of the rows that a sparse gradient does not name, where they move all the same: caught up later "
        "in closed form (see `flush`), left as they are, or moved by a dense step.",
    )
    frozen: bool = documented(False, "Leave parameters as they are; meant for some of the `groups`.")


@dataclass(frozen=True, kw_only=True)
class Conduct:
    """Hyperparameters that hold for all parameters together, and for a run."""

    max_global_norm: float = documented(
        0.0, "Scale all gradients together to at most this norm; 0 is off. Not with the other limits of gradients."
    )
    nonfinite: Literal["raise", "skip", "ignore"] = documented(
        "raise", 'What a gradient with NaN or infinity does. "ignore" does not look, which is fastest.'
    )
    deferred: bool = documented(
        False,
        "Let the GPU decide about gradients that are not finite, and wait for no answer. It leaves that step out, and "
        'unless `nonfinite` is "skip" those after it; the error comes with a later step, or when something is read. '
        "Steps with dense gradients, a constant rate and no clipping by norms are deferred, others and the CPU's wait.",
    )
    threads: int | None = documented(None, "Most threads to use; None is all that Numba has.")
    patience: int = documented(5, "Validations in a row without an improvement that a run goes on after.")
    validate_every: int = documented(10, "Epochs from one validation to the next.")
    min_improvement: float = documented(0.0, "Share of the best loss by which a lower one has to improve on it.")


_in_order = itemgetter(*COMMON)  # takes the scalars of all methods by name, and gives their values in order


class Rule(Protocol):
    """The attributes of a rule, as a file of :mod:`fastadagrad.kernels.rules` has them."""

    name: str
    Hyperparameters: Any
    Scalars: Any

    def scalar_values(self, *arguments: Any, **_: Any) -> tuple[float, ...]: ...


class Form(Protocol):
    """The formula of a rule, or of the form that a rule has under some hyperparameters."""

    slots: tuple[str, ...]

    def initial(self, hyper: Any, a: float) -> tuple[float | str, ...]: ...
    def accumulate(self, p: Any, g: Any, square: Any, own: Any, s: Any) -> Any: ...
    def scale(self, own: Any, s: Any) -> Any: ...


def starts_of(rule: Rule) -> tuple[str, ...]:
    """Names of the hyperparameters that decide shapes and initial values of the state."""
    return ("accumulator", *trait(rule, "starts"))


def default_options(rule: Rule) -> Options:
    return Options(**trait(rule, "defaults"))


def hyper_names(rule: Rule) -> list[str]:
    """Every keyword that is a hyperparameter."""
    return [*(field.name for kind in (Options, rule.Hyperparameters, Conduct) for field in fields(kind)), "groups"]


def refusals_of(form: Form) -> Iterator[tuple[tuple[str, ...], str]]:
    """Options that a form of a method cannot take, and why.

    In a reason, {} stands for the options that are given, and {own} for the method's own hyperparameters.
    """
    if not trait(form, "shares"):
        yield ("accumulator",), "has no accumulator for rows to share: accumulator must be 'element'"
    if not trait(form, "penalised"):
        yield ("l1", "l2"), "has no metric in which the proximal l1 and l2 are penalties: use weight_decay"
    if places(form):
        yield (
            ("momentum", "nesterov", "decoupled_weight_decay", "l1", "l2"),
            "sets a parameter by its slots, wherever it was: {} would have no effect; leave them out (its own "
            "hyperparameters are {own})",
        )
    if trait(form, "measured"):
        yield (
            ("decoupled_weight_decay",),
            "measures its step size, in which decoupled_weight_decay has no share: use weight_decay",
        )


def options_of(rule: Rule) -> list[str]:
    """Names of the options that a method takes."""
    form = cast(Form, form_of(rule, rule.Hyperparameters()))
    refused = {name for names, _ in refusals_of(form) for name in names}
    return [field.name for field in fields(Options) if field.name not in refused]


def refuse_unknown(
    given: Iterable[str],
    known: Iterable[str],
    where: str,
    foreign: Foreign = KEYWORDS,
    elsewhere: Mapping[str, str] | None = None,
) -> None:
    """Raise TypeError for the first name that is not known, with the name that was likely meant or its right place."""
    known = sorted({*known})
    for name in given:
        if name not in known:
            meant = (elsewhere or {}).get(name) or hint(name, known, foreign)
            if not meant and foreign is KEYWORDS:
                meant = of_other_methods(name)
            meant = meant or f"known are {', '.join(known)}"
            raise TypeError(f"{where} got an unexpected keyword {name!r}: {meant}")


def of_other_methods(name: object) -> str | None:
    """Which methods have what another library calls by this name, in words; None if no method has it."""
    for needed in ours_for(name):
        having = [method for method in rule_names() if {*needed} <= {*hyper_names(rule_named(method))}]
        if having:
            *most, last = having
            methods = f"{', '.join(most)} and {last}" if most else last
            return f"it is {' and '.join(needed)} of {methods}, and of no use to this method"
    return None


@dataclass(frozen=True)
class Settings:
    """All the hyperparameters of one parameter, checked.

    Pickled settings only name their rule, which the process that loads them has to know.
    """

    options: Options
    own: Any  # the rule's Hyperparameters
    rule: Rule

    def __reduce__(self) -> tuple[Any, ...]:
        return _settings_at, (reference_to(self.rule), vars(self.options), vars(self.own))

    def __copy__(self) -> Settings:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Settings:
        return replace(self, options=copy.deepcopy(self.options, memo), own=copy.deepcopy(self.own, memo))

    @cached_property
    def form(self) -> Form:
        """The form that the method has under these hyperparameters."""
        return cast(Form, form_of(self.rule, self.own))

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of all slots, the method's own first."""
        return slot_names(self.form, self.motion)

    @property
    def known_slots(self) -> tuple[str, ...]:
        """Names of all slots as they are, or would be, with momentum."""
        return slot_names(self.form, "momentum")

    def initial(self) -> tuple[float | str, ...]:
        """Values with which the method's own slots begin."""
        rate = self.learning_rate_at(0) if "learning_rate" in trait(self.rule, "starts") else 0.0
        return self.form.initial(self.own, rate)

    @property
    def motion(self) -> str:
        if self.options.momentum == 0:
            return "plain"
        return "nesterov" if self.options.nesterov else "momentum"

    @property
    def lean(self) -> bool:
        """Whether a lean driver will do, as no option needs more than accumulating, scaling and moving."""
        o = self.options
        clips = o.max_gradient_elem or o.max_gradient_norm
        return not (clips or o.weight_decay or o.decoupled_weight_decay or o.l1 or o.l2)

    @property
    def start(self) -> tuple[Any, ...]:
        """Values of the hyperparameters that decide shapes and initial values of the state."""
        known = {**vars(self.options), **vars(self.own)}
        return tuple(known[name] for name in starts_of(self.rule))

    @property
    def rate_changes(self) -> bool:
        """Whether the learning rate may change from step to step, and the method depends on it."""
        changes = callable(self.options.learning_rate) or self.options.lr_decay != 0
        return changes and bool(trait(self.form, "takes_rate"))

    @property
    def scheduled(self) -> bool:
        """Whether scalars change from step to step."""
        return self.rate_changes or bool(trait(self.form, "timed") or trait(self.form, "measured"))

    @property
    def norm_limit(self) -> float:
        """Limit of the gradient's norm, 0 where elements are clipped instead."""
        return 0.0 if self.options.max_gradient_elem else self.options.max_gradient_norm

    def learning_rate_at(self, t: int, asked: dict[int, float] | None = None) -> float:
        """Learning rate of step t, the first being 0.

        `asked` holds the rates that callables have returned in this step, by the callable's id, so that each is called
        once a step. It also holds the rates that have been set since options were made, by the id of the options.
        """
        rate = self.options.learning_rate
        if asked:
            rate = asked.get(id(self.options), rate)
        if callable(rate):
            asked = {} if asked is None else asked
            if id(rate) not in asked:
                asked[id(rate)] = checked_number(f"learning_rate({t})", rate(t))
            rate = asked[id(rate)]
        return rate / (1 + t * self.options.lr_decay)

    def scalars(
        self, t: int, asked: dict[int, float] | None = None, learned: Sequence[float] = (), late: int = 0
    ) -> tuple[float, ...]:
        """Values of the rule's Scalars at step t, in float64: products are formed before the cast.

        The method's own scalars count steps from that in which the slots were made, `late` steps after the first.
        """
        o, a = self.options, self.learning_rate_at(t, asked)
        values = {
            "zero": 0.0,
            "one": 1.0,
            "learning_rate": a,
            "momentum": o.momentum,
            "gradient_scale": 1.0,
            "clip": o.max_gradient_elem or math.inf,
            "weight_decay": o.weight_decay,
            "keep": 1 - a * o.decoupled_weight_decay,
            "penalised": float(o.l1 != 0 or o.l2 != 0),
            "l1_step": a * o.l1,
            "l2_step": a * o.l2,
        }
        return (*_in_order(values), *self.rule.scalar_values(self.own, a, t - late, *learned))

    def check(self) -> None:
        o, method = self.options, self.rule.name.upper()
        reason = self.rule.refusal(self.own) if hasattr(self.rule, "refusal") else None
        if reason:
            raise ValueError(reason)
        for names, why in refusals_of(self.form):
            given = [name for name in names if getattr(o, name) != getattr(Options, name)]
            if given:
                raise ValueError(f"{method} {why.format(' and '.join(given), own=', '.join(vars(self.own)))}")
        if (o.l1 or o.l2) and o.momentum:
            raise ValueError(
                "l1 and l2 cannot be combined with momentum: the proximal step is defined for the plain "
                "update, and a velocity would carry parameters out of the zeros that it sets; "
                "use momentum=0, or weight_decay"
            )


def _settings_at(reference: tuple[Any, ...], options: Mapping[str, Any], own: Mapping[str, Any]) -> Settings:
    rule = rule_at(*reference)
    return Settings(Options(**options), rule.Hyperparameters(**own), rule)


def make_settings(rule: Rule, given: Mapping[str, Any]) -> tuple[Settings, Conduct]:
    """Settings and conduct from keyword arguments, each checked."""
    own, options = rule.Hyperparameters(), default_options(rule)
    base = {**vars(options), **vars(own), **vars(Conduct())}
    refuse_unknown(given, hyper_names(rule), rule.name.upper())
    value = {name: checked(name, x, base[name]) for name, x in given.items() if name != "groups"} | trait(rule, "fixed")

    def part(default: Any) -> Any:
        return replace(default, **{name: x for name, x in value.items() if name in vars(default)})

    settings = Settings(part(options), part(own), rule)
    settings.check()
    conduct: Conduct = part(Conduct())
    return settings, conduct


def make_group_settings(
    rule: Rule, settings: Settings, groups: Mapping[str, Mapping[str, Any]], names: Iterable[str]
) -> dict[str, Settings]:
    """Settings of every parameter, by name: those of the optimizer, with those of the parameter's group on top.

    The groups are as `own_copy` gives them.
    """
    names = list(names)
    with asking("groups", groups):
        refuse_unknown(groups, names, "groups", foreign={})
    base = {**vars(settings.options), **vars(settings.own)}
    result = dict.fromkeys(names, settings)  # parameters with the same settings share the object: one set of scalars
    for name, group in groups.items():
        where = f"groups[{name!r}]"
        refuse_unknown(group, base, where)
        if group:
            with of_group(name):
                result[name], _ = make_settings(rule, {**base, **group})
    return result


def cast_scalars(
    settings: Settings,
    t: int,
    dtype: np.dtype[Any],
    asked: dict[int, float] | None = None,
    learned: Sequence[float] = (),
    late: int = 0,
) -> NDArray[Any]:
    """Scalars of step t, formed in float64 and cast once; ValueError for one that the dtype cannot hold."""
    exact = settings.scalars(t, asked, learned, late)
    with np.errstate(all="ignore"):
        cast = np.array(exact, dtype)
    names = settings.rule.Scalars._fields
    if cast.size - np.count_nonzero(np.isfinite(cast)) > exact.count(math.inf):
        for name, x, y in zip(names, exact, cast.tolist(), strict=True):
            if math.isinf(y) and not math.isinf(x):
                where = "" if name in COMMON else f" in {settings.rule.name.upper()} with these hyperparameters"
                raise ValueError(f"{name} is {x}{where}, which {dtype} cannot hold: use smaller numbers, or float64")
    if trait(settings.form, "rate_divides") and cast[(at := names.index("learning_rate"))] == 0:
        method = settings.rule.name.upper()
        raise ValueError(f"learning_rate must be above 0 in {dtype}, not {exact[at]:g}: {method} divides by it")
    return cast
