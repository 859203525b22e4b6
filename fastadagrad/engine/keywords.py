"""The hyperparameters of a method as keywords: by its rule's fields and those of the options that it takes."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any, NamedTuple

from .options import Conduct, Rule, default_options, options_of


class Keyword(NamedTuple):
    """One of them: with the type as it is written, and what it means in sentences."""

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
    """The learning rate, the method's own, the options of other methods that it takes too, and those of a run."""
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
