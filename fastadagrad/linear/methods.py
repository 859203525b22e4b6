"""The methods that train linear models: all whose steps need no more than the gradients of one example or batch."""

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

START = 0.1  # learning rate of methods that have no other default
UNPENALISED = {"l1": 0.0, "l2": 0.0, "weight_decay": 0.0, "decoupled_weight_decay": 0.0}


def own_hyper(rule: Rule) -> dict[str, Any]:
    """What a method takes beside the options of all, with its defaults."""
    return {field.name: field.default for field in fields(rule.Hyperparameters)}


def trainers() -> list[str]:
    """Names of the methods that a linear model may have."""
    return names_of_simple_rules()


def takers_of(keyword: str) -> list[str]:
    """Names of those that take this keyword."""
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
        If there is none, or if a linear model cannot be trained by it.
    """
    names = rule_names()
    name = method.lower() if isinstance(method, str) else None
    if name not in names:
        meant = hints.hint(method, names, hints.METHODS) if isinstance(method, str) else None
        raise ValueError(f"there is no method {method!r}: {meant or 'there are ' + ', '.join(trainers())}")
    rule: Rule = rule_named(name)
    reason = _refusal(rule)
    if reason is not None:
        raise ValueError(
            f"method {name!r} does not train linear models, as {reason}: choose among {', '.join(trainers())}"
        )
    return rule


def form_for(settings: Settings) -> Any:
    """The formula that the kernels compile."""
    return cast(Any, settings.form)


def default_rate(rule: Rule) -> float:
    """The learning rate of a method, unless one is given."""
    return float(trait(rule, "defaults").get("learning_rate", START))


def _keeps_slots(settings: Settings) -> bool:
    """Whether a gradient of 0 changes no slot, by trial.

    Methods whose scalars change from step to step do not say so of themselves, as their weights move all the same. One
    that places its weights by its slots can catch them up if these have stayed.
    """
    s = settings.rule.Scalars(*settings.scalars(0))
    trials = (tuple(1.5 + i + k for k in range(len(settings.form.slots))) for i in range(3))
    return all(tuple(settings.form.accumulate(0.25, 0.0, 0.0, own, s)) == own for own in trials)


def missed_steps_refusal(settings: Settings) -> str | None:
    """Why a feature cannot be caught up on the steps that it missed; None if it can."""
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
    """The same without penalties and decay: those of a method itself are called l1 and l2, too."""
    own: Mapping[str, Any] = {name: 0.0 for name in vars(settings.own) if name.endswith(("_l1", "_l2"))}
    options: Mapping[str, Any] = UNPENALISED
    return replace(settings, options=replace(settings.options, **options), own=replace(settings.own, **own))
