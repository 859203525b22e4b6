"""How a displacement d moves a parameter p: plainly, with momentum, or with Nesterov's momentum.

    plain       p <- p - d
    momentum    v <- m*v - d ;  p <- p + v
    nesterov    v <- m*v - d ;  p <- p + (m*v - d)

Every method moves its parameters by one of these functions. m is the hyperparameter `momentum`. `rest` is the tuple
of slots behind the method's own: empty, or the velocity v.
"""

from __future__ import annotations

from typing import Any


def plain(p, d, rest, s):
    return p - d, rest


def momentum(p, d, rest, s):
    v = s.momentum * rest[0] - d
    return p + v, (v,)


def nesterov(p, d, rest, s):
    v = s.momentum * rest[0] - d
    return p + (s.momentum * v - d), (v,)


MOTIONS = {"plain": plain, "momentum": momentum, "nesterov": nesterov}
SLOTS = {"plain": (), "momentum": ("velocity",), "nesterov": ("velocity",)}


def slot_names(rule: Any, motion: str) -> tuple[str, ...]:
    """Names of all slots of a parameter: those of the rule, or of its form, and then those of the motion."""
    return (*rule.slots, *SLOTS[motion])
