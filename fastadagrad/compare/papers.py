"""The numbers that the papers of methods have, where the library's defaults, which are downhill's, are others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..engine.options import Rule, Settings, make_settings

PRESET = "paper"  # as in adam:paper


class Known(NamedTuple):
    """A number of a paper."""

    option: str
    symbol: str  # what the paper calls it; of a half-life the factor by which a mean fades in each step
    value: Any

    @property
    def setting(self) -> Any:
        """The value of the option."""
        return half_life(self.value) if self.option.endswith("halflife") else self.value

    def shown(self, setting: Any) -> str:
        """A value of the option in the terms of the paper."""
        value = 2 ** (-1 / setting) if self.option.endswith("halflife") else setting
        return str(value) if isinstance(value, bool) else f"{value:.3g}"


def half_life(factor: float) -> float:
    """The half-life of a mean that fades by a factor in each step.

    Examples
    --------
    >>> from fastadagrad.compare.papers import half_life
    >>> half_life(0.5), round(half_life(0.999), 1)
    (1.0, 692.8)
    """
    return -math.log(2) / math.log(factor)


_BETAS = Known("beta1_halflife", "beta1", 0.9), Known("beta2_halflife", "beta2", 0.999)
PAPERS: dict[str, tuple[Known, ...]] = {
    "adadelta": (Known("rms_halflife", "rho", 0.95), Known("rms_regularizer", "epsilon", 1e-6)),  # Zeiler, section 4
    "adam": _BETAS,  # Kingma and Ba, Algorithm 1
    "adamax": (*_BETAS, Known("rms_regularizer", "epsilon", 0.0)),  # Kingma and Ba, Algorithm 2
    "esgd": (Known("averaged", "averaged", True),),  # Dauphin et al., Algorithm 1
    "rmsprop": (  # Graves, equations 38 to 45
        Known("rms_halflife", "aleph", 0.95),
        Known("rms_regularizer", "epsilon", 1e-4),
        Known("momentum", "momentum", 0.9),
    ),
    "rprop": (  # Riedmiller and Braun, section 3
        Known("rprop_increase", "eta+", 1.2),
        Known("rprop_decrease", "eta-", 0.5),
        Known("rprop_min_step", "smallest step", 1e-6),
        Known("rprop_max_step", "largest step", 50.0),
    ),
}


def preset(name: str) -> dict[str, Any]:
    """The options with which a method is that of its paper.

    Raises
    ------
    ValueError
        If the method's defaults are the paper's, or if the paper leaves its numbers open.
    """
    if name not in PAPERS:
        raise ValueError(f"{name} has its paper's numbers as it is: {PRESET!r} is for {', '.join(PAPERS)}")
    return {known.option: known.setting for known in PAPERS[name]}


def unlike_paper(rule: Rule, options: Mapping[str, Any]) -> tuple[str, ...]:
    """What differs from the paper of a method that has these options.

    Examples
    --------
    >>> from fastadagrad.compare.papers import preset, unlike_paper
    >>> from fastadagrad.optimizer.methods import method_named
    >>> rule = method_named("adam").rule
    >>> unlike_paper(rule, {})
    ('beta1 0.906 (paper 0.9)', 'beta2 0.99 (paper 0.999)')
    >>> unlike_paper(rule, preset("adam"))
    ()
    """
    settings, _ = make_settings(rule, options)
    found = []
    for known in PAPERS.get(rule.name, ()):
        own = value_of(settings, known.option)
        if known.shown(own) != known.shown(known.setting):
            found.append(f"{known.symbol} {known.shown(own)} (paper {known.shown(known.setting)})")
    return tuple(found)


def value_of(settings: Settings, option: str) -> Any:
    """The value of an option in a method's settings."""
    return {**vars(settings.options), **vars(settings.own)}[option]
