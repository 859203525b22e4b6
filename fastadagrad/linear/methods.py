"""The methods that can train linear models: those whose steps need only the gradients of one example or batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, cast

from ..engine.missed import moves_unnamed
from ..engine.options import Rule, Settings
from ..engine.registry import names_of_simple_rules, rule_named, rule_names
from ..engine.tuning import wants_constant_rate
from ..kernels.rules import form_of, places, trait
from ..support import hints
from ..support.asking import asking, shown

START = 0.1  # learning rate of methods that have no other default
# Defaults of linear models where the method has others. With ADAGRAD's own 1e-8 the first step of a rare feature is the
# whole learning rate, however small its gradient: see bench/study_linear.py and the guide.
DEFAULTS: dict[str, dict[str, Any]] = {"adagrad": {"rms_regularizer": 0.3}}
TUNED = ("adagrad",)  # methods that find their rate, average weights and make implicit steps unless it is said
UNPENALISED = {"l1": 0.0, "l2": 0.0, "weight_decay": 0.0, "decoupled_weight_decay": 0.0}


def own_hyper(rule: Rule) -> dict[str, Any]:
    """The hyperparameters of a method beside the options of all methods, with their defaults."""
    return {field.name: field.default for field in fields(rule.Hyperparameters)} | DEFAULTS.get(rule.name, {})


def trainers() -> list[str]:
    """Names of the methods that a linear model may have."""
    return names_of_simple_rules()


def takers_of(keyword: str) -> list[str]:
    """Names of the methods for linear models that take this keyword."""
    return [name for name in trainers() if keyword in own_hyper(rule_named(name))]


def _refusal(rule: Rule) -> str | None:
    name = rule.name.upper()
    if trait(rule, "measured"):
        return f"{name} measures all weights before each step, and a linear model's step changes those of an example"
    form = form_of(rule, rule.Hyperparameters())
    if trait(form, "stored"):
        return f"{name} keeps slots in another dtype than the weights', and those of a weight lie beside it"
    if trait(form, "fed"):
        return f"{name} goes by Hessian-vector products, and a linear model forms gradients only"
    return None


def rule_for(method: Any) -> Rule:
    """The rule of a method by its name, in any case.

    Raises
    ------
    ValueError
        If there is no such method, or if it cannot train a linear model.
    """
    names = rule_names()
    with asking("method", method):
        name = method.lower() if isinstance(method, str) else None
    if name not in names:
        meant = None if name is None else hints.hint(method, names, hints.METHODS)
        raise ValueError(f"there is no method {shown(method)}: {meant or 'there are ' + ', '.join(trainers())}")
    rule: Rule = rule_named(name)
    reason = _refusal(rule)
    if reason is not None:
        raise ValueError(
            f"method {name!r} does not train linear models, as {reason}: choose among {', '.join(trainers())}"
        )
    return rule


def form_for(settings: Settings) -> Any:
    """The form of the rule, whose formula the kernels compile."""
    return cast(Any, settings.form)


def default_rate(rule: Rule) -> float:
    """The learning rate of a method if none is given."""
    return float(trait(rule, "defaults").get("learning_rate", START))


def finds_rate(given: Any, method: str) -> bool:
    """Whether a learning rate as it was given, None included, is to be found by trial."""
    return (isinstance(given, str) and given == "auto") or (given is None and method in TUNED)


def implicit_refusal(settings: Settings, batch_size: int) -> str | None:
    """Why steps cannot be implicit; None if they can."""
    if batch_size != 1:
        return "an implicit step is of one example: use batch_size=1"
    if settings.motion != "plain":
        return "momentum moves weights beyond what one example asks for: use momentum=0"
    if not trait(settings.form, "along_gradient"):
        able = [name for name in trainers() if _is_along_gradient(rule_named(name))]
        return f"a step of {settings.rule.name.upper()} is no multiple of its gradient: use method={' or '.join(able)}"
    return None


def _is_along_gradient(rule: Rule) -> bool:
    return bool(trait(form_of(rule, rule.Hyperparameters()), "along_gradient"))


def _keeps_slots(settings: Settings) -> bool:
    """Whether a gradient of 0 changes no slot, which is found by trial.

    Methods whose scalars change from step to step lack the trait `rests`, as their weights move even if their slots
    stay. If such a method computes weights from slots, its weights can be caught up.
    """
    s = settings.rule.Scalars(*settings.scalars(0))
    trials = (tuple(1.5 + i + k for k in range(len(settings.form.slots))) for i in range(3))
    return all(tuple(settings.form.accumulate(0.25, 0.0, 0.0, own, s)) == own for own in trials)


def missed_steps_refusal(settings: Settings) -> str | None:
    """Why a feature cannot be caught up with the steps that it missed; None if it can."""
    method = settings.rule.name.upper()
    if not moves_unnamed(settings):
        return None
    if settings.options.weight_decay:
        instead = "" if places(settings.form) else ", or l2 or decoupled_weight_decay instead"
        return (
            'weight_decay cannot be caught up exactly (it changes the slots too): use lazy="touched" or '
            f'"dense"{instead}'
        )
    if not (trait(settings.form, "rests") or (places(settings.form) and _keeps_slots(settings))):
        return (
            f"steps that an example's features miss cannot be caught up exactly: {method} changes what it keeps of a "
            'weight, and moves it, also where its gradient is 0; use lazy="touched" or "dense"'
        )
    reason = wants_constant_rate(settings) if settings.scheduled and not places(settings.form) else None
    if reason is not None:
        return f'what {method} does changes from step to step, and {reason}; or use lazy="touched" or "dense"'
    return None


def unpenalised(settings: Settings) -> Settings:
    """The settings without penalties and decay, also without those of the method itself (`ftrl_l1`, ...)."""
    own: Mapping[str, Any] = {name: 0.0 for name in vars(settings.own) if name.endswith(("_l1", "_l2"))}
    options: Mapping[str, Any] = UNPENALISED
    return replace(settings, options=replace(settings.options, **options), own=replace(settings.own, **own))
