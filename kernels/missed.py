"""Steps that a parameter missed, all at once: k steps of gradient 0 in closed form.

A gradient of 0 leaves the accumulator G as it is, and so the denominator H. With learning rate a, decoupled decay w,
momentum m, velocity v, c = 1 - a*w and r = 1/(1 + a*l2/H), a parameter p moves by

    plain               |p| <- max(0, (c*r)^k |p| - (a*l1/H) * r * series(c*r, k)),  keeping the sign
    momentum m           p  <- c^k p + v*m   * (c^k - m^k)/(c - m) ;  v <- m^k v
    Nesterov             p  <- c^k p + v*m^2 * (c^k - m^k)/(c - m) ;  v <- m^k v

where series(x, k) = 1 + x + ... + x^(k-1) = (x^k - 1)/(x - 1), and (c^k - m^k)/(c - m) is the larger of
c and m to the power k-1 times the series of their quotient. Powers go through logarithms and expm1 (:mod:`.powers`), in
float64, so that no difference of nearly equal numbers is formed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .element import make_has_metric
from .jit import forceinlined
from .memory.slots import make_behind, make_first, make_slots, make_widened
from .memory.storage import Storage, storages_of
from .motion import SLOTS
from .powers import exp, expm1, log, log1p
from .rules import places, soft_threshold, trait


@forceinlined
def series(log_x, k):
    """1 + x + ... + x^(k-1)."""
    return expm1(k * log_x) / expm1(log_x) if log_x != 0.0 else np.float64(k)


class Missed(NamedTuple):
    """What the missed steps of a row or a feature are, the same for all of its elements.

    Under l1 alone or decay alone the learning rate may have changed from step to step, as sums over the steps say
    enough. Under l2, under l1 with decay, and under momentum with decay it must have been constant.
    """

    steps: int  # k
    thresholds: float  # sum of a*l1
    log_keeps: float  # sum of log(1 - a*w)
    keeps: float  # exp(log_keeps): c^k under a constant rate
    mean_keeps: float  # series(c, k)/k


@forceinlined
def missed_steps(steps, thresholds, log_keeps):
    if log_keeps == 0.0:
        return Missed(steps, thresholds, log_keeps, 1.0, 1.0)
    return Missed(steps, thresholds, log_keeps, exp(log_keeps), series(log_keeps / steps, steps) / steps)


@forceinlined
def missed_alike(steps, s):
    """`Missed` for so many steps that all had the scalars `s`."""
    return missed_steps(steps, steps * s.l1_step, 0.0 if s.keep == s.one else steps * log(s.keep))


def make_with_scalars(Scalars, **instead):
    """Compilable ``(s, x)``: the scalars `s`, but for those whose functions ``(s, x)`` are given by name."""

    def make_from(i):
        if i == len(Scalars._fields):
            return forceinlined(lambda s, x: ())
        rest, value = make_from(i + 1), instead.get(Scalars._fields[i])
        if value is None:
            return forceinlined(lambda s, x: (s[i],) + rest(s, x))
        value = forceinlined(value)
        return forceinlined(lambda s, x: (value(s, x),) + rest(s, x))

    values = make_from(0)
    return forceinlined(lambda s, x: Scalars(*values(s, x)))


def make_by_l1_alone(Scalars):
    """Compilable ``(s)``: the scalars `s` with l2 and decoupled decay as constants that have no effect.

    LLVM then removes the powers that l2 and decay need, and vectorises the loop over weights.
    """
    with_neutral = make_with_scalars(Scalars, l2_step=lambda s, x: 0.0, keep=lambda s, x: 1.0)
    return forceinlined(lambda s: with_neutral(s, None))


def make_catch_up(rule, motion: str):
    """Compilable ``(p, own, moved, missed, s) -> (p, moved)``; `s` holds the rule's scalars in float64.

    A rule with the trait `rests` keeps its slots under gradients of 0, so that they are not returned. With no step
    missed, no bit changes. Under a rule without a closed form nothing changes either, as none of its rows ever lag.
    """
    if not trait(rule, "rests") or places(rule):
        return forceinlined(lambda p, own, moved, missed, s: (p, moved))
    scale, has_metric, widened = forceinlined(rule.scale), make_has_metric(rule), make_widened(len(rule.slots))
    look_ahead = motion == "nesterov"

    @forceinlined
    def shrunk(p, own, moved, missed, s):
        p = np.float64(p)
        if p == 0.0 or not has_metric(own, 0.0):
            return p * missed.keeps, moved
        H = scale(widened(own), s)
        threshold = missed.thresholds / H
        if s.l2_step == 0.0:
            return soft_threshold(p * missed.keeps, threshold * missed.mean_keeps, 0.0), moved
        k, log_r = missed.steps, -log1p(s.l2_step / H)
        if k == 0:
            return p, moved
        log_power = missed.log_keeps + k * log_r
        if threshold != 0.0:
            threshold = threshold / k * exp(log_r) * series(log_power / k, k)
        return soft_threshold(p * exp(log_power), threshold, 0.0), moved

    @forceinlined
    def coasted(p, own, moved, missed, s):
        p, v, m, k = np.float64(p), np.float64(moved[0]), s.momentum, missed.steps
        if k == 0:
            return p, (v,)
        log_c, log_m = missed.log_keeps / k, log(m)
        power = exp((k - 1) * max(log_c, log_m)) * series(-abs(log_c - log_m), k)
        reach = m * m if look_ahead else m
        return p * missed.keeps + v * reach * power, (v * exp(k * log_m),)

    return shrunk if motion == "plain" else coasted


@forceinlined
def shrunk_by_history(p, factor, threshold):
    """A parameter after missed steps under changing H; see `make_row_catch_up`."""
    return soft_threshold(np.float64(p) * factor, threshold, 0.0)


@forceinlined
def history_missed(totals, mark):
    """Factor and threshold of `shrunk_by_history`, from the totals now and the totals when the row was caught up.

    Each of the two, `totals` and `mark`, is (logarithm, sum).
    """
    return exp(totals[0] - mark[0]), exp(totals[0]) * (totals[1] - mark[1])


class Lag(NamedTuple):
    """How many steps each row of a parameter lags behind, and what these steps were.

    Where learning rates change from step to step, `marks` has, for each row, what `totals` were when the row was last
    caught up. Otherwise `marks` is empty: the number of missed steps is enough.
    """

    now: int  # steps that a row has had once it is caught up
    last: np.ndarray  # (rows,) steps that each row has had
    totals: np.ndarray  # (2,) sums over all steps so far, of the same terms as `marks`
    totals_after: np.ndarray  # (2,) the same sums, with the step that is being made
    # (rows, 2) or (0, 0): sum of a*l1, sum of log(1 - a*w); see `make_row_catch_up` for a shared accumulator.
    marks: np.ndarray


def make_row_catch_up(rule, motion: str, kind: str, storage: Storage):
    """Compilable ``catch_up_row(r, p, slots, lag, s)``, which catches row r up, and ``stamp(r, lag)``.

    `storage` is that of the parameter. `stamp` notes that the row has had the step that is being made. If `kind` is
    "element", the first slot has an element for each of p, else one for all.

    An accumulator that the whole tensor shares changes with every step, and H with it, also for rows that missed the
    step. Under penalties, the two numbers of `totals` and marks then are the logarithm of the factor by which a
    parameter would have shrunk since the first step, and the sum over the steps of a*l1/H, each term divided by the
    factor that had been reached in its step.
    """
    catch_up, count = make_catch_up(rule, motion), len(rule.slots)
    own_of, load_own = make_first(count), make_slots(storages_of(rule, rule.slots)).load
    moving = make_slots(storages_of(rule, SLOTS[motion]))
    moved_of, load_moved, store_moved = make_behind(count), moving.load, moving.store
    load, store = storage.load, storage.store
    each = kind == "element"
    by_history = kind == "tensor" and motion == "plain"

    @forceinlined
    def advance(p, slots, missed, s):
        own, moved = own_of(slots), moved_of(slots)
        for i in range(p.size):
            p_i, moved_i = catch_up(load(p, i), load_own(own, i if each else 0), load_moved(moved, i), missed, s)
            store(p, i, p_i)
            store_moved(moved, i, moved_i)

    @forceinlined
    def advance_by_history(p, lag, r):
        factor, threshold = history_missed(lag.totals, lag.marks[r])
        for i in range(p.size):
            store(p, i, shrunk_by_history(load(p, i), factor, threshold))

    @forceinlined
    def catch_up_row(r, p, slots, lag, s):
        k = lag.now - lag.last[r]
        if k <= 0:
            return
        lag.last[r] = lag.now
        if lag.marks.size == 0:
            advance(p, slots, missed_alike(k, s), s)
        elif by_history:
            advance_by_history(p, lag, r)
        else:
            thresholds, log_keeps = lag.totals[0] - lag.marks[r, 0], lag.totals[1] - lag.marks[r, 1]
            advance(p, slots, missed_steps(k, thresholds, log_keeps), s)
        for j in range(lag.marks.shape[1]):
            lag.marks[r, j] = lag.totals[j]

    @forceinlined
    def stamp(r, lag):
        lag.last[r] = lag.now + 1
        for j in range(lag.marks.shape[1]):
            lag.marks[r, j] = lag.totals_after[j]

    return catch_up_row, stamp
