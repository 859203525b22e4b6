"""How a displacement d moves a parameter p: plainly, with momentum, or with Nesterov's.

    plain       p <- p - d
    momentum    v <- m*v - d ;  p <- p + v
    nesterov    v <- m*v - d ;  p <- p + (m*v - d)

Every method moves through these, so that each form stands once. `rest` is the tuple of slots
behind the method's own: empty, or the velocity.
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
    """Names of all slots of a rule's form, its own first."""
    return (*rule.slots, *SLOTS[motion])
