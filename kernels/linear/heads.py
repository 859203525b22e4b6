"""One output of a linear model, or several: the slopes of the loss, and the steps of the weights of a feature."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..element import Element
from ..jit import forceinlined, jitable
from ..memory.slots import as_computed, make_behind, make_first, make_slots
from ..missed import make_catch_up
from ..motion import SLOTS
from ..rules import places
from .switch import share_of, share_of_softmax, slope_of, softmax, unless_negligible, value_of


class Outputs(NamedTuple):
    """Compilable treatment of one output or of several.

    A slope is a number or, for several outputs, the array work.scores. No list says which features of a batch's
    gradient have been added to: +0 in the gradient stands for nothing added, and a sum that is 0 is kept as -0.
    """

    slope: object  # (loss, score, label, share, work) -> slope of the batch's mean loss, parts of the loss
    weigh: object  # (slope, importance) -> slope of the loss multiplied by the importance
    value: object  # (loss, parts) -> loss
    step: object  # (weights, j, x, slope, s): step weight j, or its row, with gradient slope * x
    step_with: object  # (weights, j, gradient, s): the same with gradient[j], which becomes 0
    add: object  # (gradient, j, x, slope): add slope * x to gradient[j]
    added: object  # (gradient, j): whether something has been added to gradient[j]
    take: object  # (gradient, j, sums, i): make sums[i] of gradient[j], which becomes 0
    catch_up: object  # (weights, j, missed, s)
    begin_ahead: object  # (work) -> the move of the score, or of each score, before any feature is looked at
    ahead: object  # (weights, j, x, slope, moved, s) -> moved, to which what `step` would add to the score is added
    share: object  # (loss, score, label, slope, moved, work) -> share of the explicit step, as `.implicit` has it


def _make_sum(real):
    """Compilable ``plus(total, term)``, which is never +0, and ``is_sum(total)``: whether the total is not +0.

    So +0 can stand for a sum to which nothing has been added.
    """

    @forceinlined
    def plus(total, term):
        total += term
        return total if total != 0 else -real(0)

    @forceinlined
    def is_sum(total):
        return total != 0 or math.copysign(1.0, total) < 0

    return plus, is_sum


def _make_element_step(element: Element):
    step_of, load, store = element.step, element.slots.load, element.slots.store

    @forceinlined
    def step(p, slots, i, g, s):
        p_i, slots_i = step_of(p[i], g, load(slots, i), s)
        p[i] = p_i
        store(slots, i, slots_i)

    return step


def _make_element_place(rule, element: Element):
    """Compilable ``(p, slots, i, missed, s)``, which puts weight i where its slots place it under the scalars `s`."""
    place, scale, load = jitable(rule.place), jitable(rule.scale), element.slots.load

    @forceinlined
    def element_place(p, slots, i, missed, s):
        own = load(slots, i)
        p[i] = place(s.zero, scale(own, s), own, s)

    return element_place


def _make_element_catch_up(rule, motion, element: Element):
    if places(rule):
        return _make_element_place(rule, element)
    catch_up, count, load = make_catch_up(rule, motion), len(rule.slots), element.slots.load
    own_of, moved_of, store = make_first(count), make_behind(count), make_slots(as_computed(len(SLOTS[motion]))).store

    @forceinlined
    def element_catch_up(p, slots, i, missed, s):
        values = load(slots, i)
        p_i, moved = catch_up(p[i], own_of(values), moved_of(values), missed, s)
        p[i] = p_i
        store(moved_of(slots), i, moved)

    return element_catch_up


def _make_element_ahead(element: Element):
    displacement, load = element.displacement, element.slots.load

    @forceinlined
    def ahead(p, slots, i, g, s):
        return displacement(p[i], g, load(slots, i), s)

    return ahead


def _make_one_output(real, step_element, catch_up_element, element_ahead) -> Outputs:
    plus, is_sum = _make_sum(real)

    def slope(loss, score, label, share, work):
        derivative, parts = slope_of(loss, score, label)
        return real(derivative) / share, parts

    def weigh(slope, importance):
        return slope * importance

    def step(w, j, x, slope, s):
        step_element(w.p, w.slots, j, slope * x, s)

    def step_with(w, j, gradient, s):
        step_element(w.p, w.slots, j, gradient[j] + real(0), s)
        gradient[j] = real(0)

    def add(gradient, j, x, slope):
        gradient[j] = plus(gradient[j], slope * x)

    def added(gradient, j):
        return is_sum(gradient[j])

    def take(gradient, j, sums, i):
        sums[i] = gradient[j]
        gradient[j] = real(0)

    def catch_up(w, j, missed, s):
        catch_up_element(w.p, w.slots, j, missed, s)

    def begin_ahead(work):
        return 0.0

    def ahead(w, j, x, slope, moved, s):
        return moved + np.float64(x * element_ahead(w.p, w.slots, j, slope * x, s))

    def share(loss, score, label, slope, moved, work):
        return share_of(loss, score, label, np.float64(slope), moved / slope) if slope != 0 else 1.0

    others = map(forceinlined, (step, step_with, add, added, take, catch_up, begin_ahead, ahead, share))
    return Outputs(forceinlined(slope), forceinlined(weigh), value_of, *others)


def _make_many_outputs(real, step_element, catch_up_element, element_ahead) -> Outputs:
    plus, is_sum = _make_sum(real)

    def slope(loss, scores, label, share, work):
        value = softmax(scores, np.int64(label), work.slopes)
        for k in range(scores.size):
            scores[k] = real(unless_negligible(work.slopes[k])) / share
        return scores, value

    def weigh(slopes, importance):
        for k in range(slopes.size):
            slopes[k] *= importance
        return slopes

    def value(loss, value):
        return value

    def step(w, j, x, slopes, s):
        for k in range(slopes.size):
            step_element(w.p, w.slots, (j, k), slopes[k] * x, s)

    def step_with(w, j, gradient, s):
        for k in range(gradient.shape[1]):
            step_element(w.p, w.slots, (j, k), gradient[j, k] + real(0), s)
            gradient[j, k] = real(0)

    def add(gradient, j, x, slopes):
        for k in range(slopes.size):
            gradient[j, k] = plus(gradient[j, k], slopes[k] * x)

    def added(gradient, j):
        return is_sum(gradient[j, 0])

    def take(gradient, j, sums, i):
        for k in range(gradient.shape[1]):
            sums[i, k] = gradient[j, k]
            gradient[j, k] = real(0)

    def catch_up(w, j, missed, s):
        for k in range(w.p.shape[1]):
            catch_up_element(w.p, w.slots, (j, k), missed, s)

    def begin_ahead(work):
        for k in range(work.moved.size):
            work.moved[k] = 0.0
        return work.moved

    def ahead(w, j, x, slopes, moved, s):
        for k in range(slopes.size):
            moved[k] += np.float64(x * element_ahead(w.p, w.slots, (j, k), slopes[k] * x, s))
        return moved

    def share(loss, scores, label, slopes, moved, work):
        exact, label = work.slopes, np.int64(label)  # probabilities of the classes, less 1 for the label's
        miss, others = -exact[label], 0.0
        for k in range(exact.size):
            if k != label:
                others += exact[k] * moved[k]
        ahead = others / miss - moved[label] if miss > 0.0 else 0.0
        return share_of_softmax(exact[label] + 1.0, miss, ahead)

    functions = slope, weigh, value, step, step_with, add, added, take, catch_up, begin_ahead, ahead, share
    return Outputs(*map(forceinlined, functions))


def make_outputs(rule, motion: str, element: Element, real, classes: bool) -> Outputs:
    """Treatment of one output, or of several where there are `classes`."""
    steps = _make_element_step(element), _make_element_catch_up(rule, motion, element), _make_element_ahead(element)
    pieces = real, *steps
    return _make_many_outputs(*pieces) if classes else _make_one_output(*pieces)
