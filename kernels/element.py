"""One element's step, from gradient to parameter: the order of a step stands here and nowhere else.

    g  <- clip(g * gradient_scale) ;  g <- g + w*p          `prepare`
    G  <- accumulate(g*g, G)                                 the rule
    d  =  delta(g, H), H = scale(G)                          the rule
    p  <- p * keep ;  p, v <- move(p, d, v)                  `advance`
    p  <- proximal(p)

`lean` leaves out what only the options need; with their neutral values both forms give the same bits.
"""

from __future__ import annotations

import zlib
from functools import cache
from math import copysign
from typing import NamedTuple

from . import motion as motions
from .jit import inlined
from .slots import BY_COUNT, Slots


def untouched(g, p, s):
    return g


def prepare(g, p, s):
    g = g * s.gradient_scale
    g = s.clip if g > s.clip else (-s.clip if g < -s.clip else g)
    return g + s.weight_decay * p if s.weight_decay != s.zero else g


def first_of_sum(prepare):
    """`prepare` for a gradient that is the first term of a sum that begins with 0: a -0 becomes +0."""
    prepare = inlined(prepare)
    return lambda g, p, s: prepare(s.zero + g, p, s)


def shrink(p, s):
    return p * s.keep


def proximal(q, G, H, s):
    """Minimiser of the l1 and l2 penalties plus the squared distance to q in the metric H."""
    if G == s.zero or (s.l1_step == s.zero and s.l2_step == s.zero):
        return q
    size = abs(q) - s.l1_step / H
    if size <= s.zero:
        return s.zero
    return copysign(size / (s.one + s.l2_step / H), q)


def _unchanged(p, s):
    return p


def _as_it_is(q, G, H, s):
    return q


class Element(NamedTuple):
    """Compilable pieces of one variant of the step."""

    prepare: object
    accumulate: object
    advance: object
    step: object  # all three, for an element with its own accumulator
    slots: Slots
    fingerprint: int


def fingerprint(*functions) -> int:
    """Changes when a rule does: Numba's disk cache does not look behind the names that a closure holds."""
    rules = repr([(f.__code__.co_code, f.__code__.co_consts, f.__code__.co_names) for f in functions])
    return zlib.crc32(rules.encode())


@cache
def make_element(rule, motion: str, lean: bool, summed: bool = False) -> Element:
    """Pieces for one variant; with `summed`, gradients are sums of values that may still lack their 0."""
    accumulate, scale, delta = inlined(rule.accumulate), inlined(rule.scale), inlined(rule.delta)
    move = inlined(motions.MOTIONS[motion])
    kept = inlined(_unchanged if lean else shrink)
    penalised = inlined(_as_it_is if lean else proximal)

    @inlined
    def advance(p, g, G, rest, s):
        H = scale(G, s)
        p, rest = move(kept(p, s), delta(g, H, s), rest, s)
        return penalised(p, G, H, s), rest

    plain = untouched if lean else prepare
    prepared = inlined(first_of_sum(plain) if summed else plain)

    @inlined
    def step(p, g, G, rest, s):
        g = prepared(g, p, s)
        G = accumulate(g * g, G, s)
        p, rest = advance(p, g, G, rest, s)
        return p, G, rest

    return Element(
        prepared,
        accumulate,
        advance,
        step,
        BY_COUNT[len(motions.SLOTS[motion])],
        fingerprint(rule.accumulate, rule.scale, rule.delta),
    )
