"""The hyperparameters of a method as keywords, made from the fields of its rule and of the options that it takes."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any, NamedTuple

from .options import Conduct, Rule, default_options, options_of


class Keyword(NamedTuple):
    """One hyperparameter as a keyword, with its type as it is written and its meaning in sentences."""

    name: str
    annotation: str
    default: Any
    doc: str


GROUPS = Keyword(
    "groups",
    "Mapping[str, Mapping[str, Any]]",
    {},
    'Names of parameters with hyperparameters of their own, as {"w": {"learning_rate": 0.1}, "b": {"frozen": True}}.',
)


def keywords_of(rule: Rule) -> list[Keyword]:
    """Keywords of a method: the learning rate, the method's own, the other options that it takes, conduct, groups."""
    options, own, conduct = (_keywords(each) for each in (default_options(rule), rule.Hyperparameters(), Conduct()))
    taken = {name: options[name] for name in options_of(rule)}
    return [*({name: taken[name] for name in ("learning_rate",)} | own | taken | conduct).values(), GROUPS]


def _keywords(values: Any) -> dict[str, Keyword]:
    """The fields of a dataclass by name."""
    return {
        field.name: Keyword(
            field.name,
            field.type if isinstance(field.type, str) else inspect.formatannotation(field.type),
            getattr(values, field.name),
            field.metadata.get("doc", ""),
        )
        for field in fields(values)
    }
