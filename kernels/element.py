"""One element's step, from gradient to parameter: the order of a step stands here and nowhere else.

    g  <- clip(g * gradient_scale) ;  g <- g + w*p          `prepare`
    slots <- accumulate(p, g, g*g, slots)                    the rule
    H  =  scale(slots) ;  d = delta(g, H, slots)             the rule
    p  <- p * keep ;  p, v <- move(p, d, v)                  `advance`
    p  <- proximal(p)

Here g is the gradient, p the parameter, w the weight decay, H the denominator, d the displacement and v the velocity.
A lean step leaves out scaling, clipping, decay and penalties; where these options have their neutral values, a step
that is not lean gives the same bits. A rule with `place` computes p from its slots, so that d, decay and motion drop
out.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from . import motion as motions
from .jit import forceinlined, jitable
from .memory.addresses import FIRST_SLOT
from .memory.slots import Slots, make_behind, make_first, make_slots
from .memory.storage import AS_COMPUTED, Storage, storages_of
from .motion import slot_names
from .rules import places, soft_threshold, trait

forceinlined(soft_threshold)  # formulas of the library and of users call this very function


def untouched(g, p, s):
    return g


def prepare(g, p, s):
    g = g * s.gradient_scale
    g = s.clip if g > s.clip else (-s.clip if g < -s.clip else g)
    return g + s.weight_decay * p if s.weight_decay != s.zero else g


def first_of_sum(prepare):
    """`prepare` for a gradient that is the first term of a sum: added to 0, as sums begin, a -0 becomes +0."""
    prepare = jitable(prepare)
    return lambda g, p, s: prepare(s.zero + g, p, s)


def shrink(p, s):
    return p * s.keep


def _penalised(q, H, s):
    """Minimiser of the l1 and l2 penalties plus the squared distance to q in the metric H."""
    if s.penalised == s.zero:
        return q
    return soft_threshold(q, s.l1_step / H, s.zero) / (s.one + s.l2_step / H)


def make_has_metric(rule):
    """Compilable ``(own, zero)``: whether an element is penalised, which needs a first slot that is not 0.

    The l1 and l2 penalties are weighed in the metric H, which the first slot gives. A rule whose first slot has no
    squares always has a metric.
    """
    if not trait(rule, "squares"):
        return jitable(lambda own, zero: True)
    return jitable(lambda own, zero: own[0] != zero)


def _make_proximal(rule):
    has_metric, penalised = make_has_metric(rule), jitable(_penalised)
    return jitable(lambda q, own, H, s: penalised(q, H, s) if has_metric(own, s.zero) and H != s.zero else q)


def _unchanged(p, s):
    return p


def _as_it_is(q, own, H, s):
    return q


def _no_displacement(g, H, own, s):
    """The displacement under a rule that computes parameters from slots: there is none."""
    return s.zero, own


class Element(NamedTuple):
    """Compilable pieces of one variant of the step."""

    prepare: object  # (g, p, s) -> g
    accumulate: object  # (square, G, s) -> G: step of an accumulator G that a row or a tensor shares
    advance: object  # (p, g, G, rest, s) -> p, rest: step of an element with such a G
    step: object  # (p, g, slots, s) -> p, slots: step of an element with slots of its own
    displacement: object  # (p, g, slots, s) -> d: by which that step moves p, before decay, motion and penalties
    infinite: object  # (slots, infinity) -> bool: whether a sum of squares among the slots is infinite
    slots: Slots  # access to all slots
    first: Storage  # of the first slot
    rest: Slots  # access to the slots behind the first


def _make_is_infinite(rule):
    """Compilable ``(slots, infinity)``: whether the first slot is infinite, if it adds up squares."""
    if not trait(rule, "squares"):
        return jitable(lambda slots, infinity: False)
    return jitable(lambda slots, infinity: slots[0] == infinity)


def _make_move(rule, motion: str, lean: bool):
    """Compilable ``(p, g, H, own, moved, s) -> p, own, moved``: `own` are the rule's slots, `moved` those of motion."""
    if places(rule):
        place = jitable(rule.place)
        return jitable(lambda p, g, H, own, moved, s: (place(g, H, own, s), own, moved))
    delta, move, kept = jitable(rule.delta), jitable(motions.MOTIONS[motion]), jitable(_unchanged if lean else shrink)

    @jitable
    def by_displacement(p, g, H, own, moved, s):
        d, own = delta(g, H, own, s)
        p, moved = move(kept(p, s), d, moved, s)
        return p, own, moved

    return by_displacement


@cache
def make_element(rule, motion: str, lean: bool, summed: bool = False) -> Element:
    """Pieces for one variant of a rule's step.

    With `summed`, gradients are sums, or single terms that stand for one: they are added to 0 first, as sums begin.
    """
    count, move = len(rule.slots), _make_move(rule, motion, lean)
    accumulate, scale = jitable(rule.accumulate), jitable(rule.scale)
    delta = jitable(_no_displacement if places(rule) else rule.delta)
    penalised = jitable(_as_it_is) if lean else _make_proximal(rule)
    own_of, moved_of = make_first(count), make_behind(count)

    @jitable
    def advance(p, g, own, moved, s):
        H = scale(own, s)
        p, own, moved = move(p, g, H, own, moved, s)
        return penalised(p, own, H, s), own, moved

    plain = untouched if lean else prepare
    prepared = jitable(first_of_sum(plain) if summed else plain)

    @jitable
    def step(p, g, slots, s):
        g = prepared(g, p, s)
        own = accumulate(p, g, g * g, own_of(slots), s)
        p, own, moved = advance(p, g, own, moved_of(slots), s)
        return p, own + moved

    @jitable
    def displacement(p, g, slots, s):
        g = prepared(g, p, s)
        own = accumulate(p, g, g * g, own_of(slots), s)
        return delta(g, scale(own, s), own, s)[0]

    @jitable
    def accumulate_shared(square, G, s):
        return accumulate(s.zero, s.zero, square, (G,), s)[0]

    @jitable
    def advance_shared(p, g, G, rest, s):
        p, _, rest = advance(p, g, (G,), rest, s)
        return p, rest

    storages = storages_of(rule, slot_names(rule, motion))
    return Element(
        prepared,
        accumulate_shared,
        advance_shared,
        step,
        displacement,
        _make_is_infinite(rule),
        make_slots(storages, FIRST_SLOT),
        (*storages, AS_COMPUTED)[0],
        make_slots(storages[1:], FIRST_SLOT + 1),
    )
