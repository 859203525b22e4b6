"""Missed steps in closed form against taking them one by one."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastadagrad.engine.options import make_settings
from fastadagrad.kernels.missed import make_catch_up, missed_steps
from fastadagrad.kernels.rules import adagrad

long = np.longdouble
pytestmark = pytest.mark.skipif(
    np.finfo(long).eps > 1e-18, reason="the steps one by one need more digits than this machine's long double has"
)


def scalars(**hyper):
    """The rule's scalars in float64, unrounded products included."""
    values, _ = make_settings(adagrad, {k: v for k, v in hyper.items() if k not in ("l1", "l2")})
    s = adagrad.Scalars(*values.scalars(0))
    a = hyper.get("learning_rate", 1e-4)
    return s._replace(l1_step=a * hyper.get("l1", 0.0), l2_step=a * hyper.get("l2", 0.0))


def one_by_one(p, v, G, rates, s, motion, decay):
    """Zero-gradient steps by the plain formulas, at the learning rates given, in extended precision."""
    p, v, m = np.asarray(p, long), np.asarray(v, long), long(s.momentum)
    l1, l2 = long(s.l1_step) / long(s.learning_rate), long(s.l2_step) / long(s.learning_rate)
    H = np.sqrt(np.asarray(G, long)) + long(s.epsilon)
    G = np.asarray(G)
    for a in rates:
        a = long(a)
        q = p * (1 - a * long(decay))
        if motion != "plain":
            v = m * v
            q = q + (m * v if motion == "nesterov" else v)
        if l1 or l2:
            with np.errstate(divide="ignore", invalid="ignore"):
                size = np.abs(q) - a * l1 / H
                thresholded = np.where(size <= 0, 0, np.sign(q) * size / (1 + a * l2 / H))
            q = np.where(G == 0, q, thresholded)
        p = q
    return np.asarray(p, float), np.asarray(v, float)


def at_once(p, v, G, rates, s, motion, decay):
    catch_up = make_catch_up(adagrad, motion)
    thresholds = math.fsum(rates) * (s.l1_step / s.learning_rate)
    log_keeps = math.fsum(math.log1p(-a * decay) for a in rates)
    rest = () if motion == "plain" else (v,)
    p, rest = catch_up(p, (G,), rest, missed_steps(len(rates), thresholds, log_keeps), s)
    return p, (*rest, v)[0]


values = st.floats(-10, 10).map(lambda x: 0.0 if abs(x) < 1e-100 else x)
accumulators = st.one_of(st.just(0.0), st.floats(1e-20, 1e20))
steps = st.one_of(st.integers(1, 5), st.integers(1, 400))
strengths = st.one_of(st.just(0.0), st.floats(1e-8, 1e-2))


@settings(derandomize=True, deadline=None, max_examples=150)
@given(values, accumulators, steps, strengths, strengths, st.sampled_from([0.0, 1e-9, 0.01, 0.5]))
def test_penalties(p, G, k, l1, l2, decay):
    s, rates = scalars(learning_rate=0.5, l1=l1, l2=l2), [0.5] * k
    expected, _ = one_by_one(p, 0.0, G, rates, s, "plain", decay)
    found, _ = at_once(p, 0.0, G, rates, s, "plain", decay)
    # What is left beside the threshold is a difference: its digits are those of p.
    assert found == pytest.approx(float(expected), rel=1e-12, abs=2e-15 * abs(p))
    assert found * p >= 0


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    values,
    values,
    steps,
    st.sampled_from([1e-300, 0.1, 0.5, 0.9, 0.999, 1 - 1e-9]),
    st.sampled_from([0.0, 1e-9, 0.001, 0.1, 0.9, 0.998]),
    st.sampled_from(["momentum", "nesterov"]),
)
def test_momentum(p, v, k, momentum, decay, motion):
    s, rates = scalars(learning_rate=1.0, momentum=momentum), [1.0] * k
    expected, expected_v = one_by_one(p, v, 1.0, rates, s, motion, decay)
    found, found_v = at_once(p, v, 1.0, rates, s, motion, decay)
    size = abs(p) + abs(v) / (1 - momentum)
    assert found == pytest.approx(float(expected), rel=1e-12, abs=1e-14 * min(size, k * abs(v) + abs(p)))
    assert found_v == pytest.approx(float(expected_v), rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("motion", ["momentum", "nesterov"])
def test_decay_that_equals_momentum(motion):
    for k in (1, 2, 3, 1000):
        s, rates = scalars(learning_rate=1.0, momentum=0.75), [1.0] * k
        expected, _ = one_by_one(3.0, -2.0, 1.0, rates, s, motion, 0.25)  # c == m exactly
        found, _ = at_once(3.0, -2.0, 1.0, rates, s, motion, 0.25)
        assert found == pytest.approx(float(expected), rel=1e-12)


CASES = [
    ("plain", {"l1": 1e-7}, 0.0),
    ("plain", {"l2": 1e-5}, 0.0),
    ("plain", {"l1": 1e-7, "l2": 1e-7}, 0.0),
    ("plain", {"l1": 1e-7, "l2": 1e-7}, 1e-7),
    ("plain", {}, 1e-6),
    ("momentum", {"momentum": 0.999}, 0.0),
    ("nesterov", {"momentum": 0.999}, 1e-6),
    ("momentum", {"momentum": 0.999999}, 1e-6),
]


def by_squaring(p, v, G, k, s, motion, decay):
    """The same k steps, none of which sets p to 0, as a power of the affine map that one is."""
    m, a = long(s.momentum), long(s.learning_rate)
    H = np.sqrt(long(G)) + long(s.epsilon)
    r = 1 / (1 + long(s.l2_step) / H)
    reach = {"plain": 0, "momentum": m, "nesterov": m * m}[motion]
    one = np.array([[r * (1 - a * long(decay)), reach, -np.sign(p) * r * long(s.l1_step) / H], [0, m, 0], [0, 0, 1]])
    power = np.eye(3, dtype=long)
    while k:
        power = power @ one if k % 2 else power
        one = one @ one
        k //= 2
    p, v, _ = power @ np.array([p, v, 1], long)
    return float(p), float(v)


@pytest.mark.parametrize("k", [2000, 10**6])
@pytest.mark.parametrize(("motion", "hyper", "decay"), CASES, ids=str)
def test_many_steps(motion, hyper, decay, k):
    s, rates = scalars(learning_rate=1.0, **hyper), [1.0] * k
    for p, v, G in ((1.0, 0.5, 1.0), (-3.0, -1.0, 100.0), (2.0, 1e-3, 0.04)):
        expected = by_squaring(p, v, G, k, s, motion, decay)
        assert at_once(p, v, G, rates, s, motion, decay)[0] == pytest.approx(expected[0], rel=1e-12)
        if motion != "plain":
            assert at_once(p, v, G, rates, s, motion, decay)[1] == pytest.approx(expected[1], rel=1e-12, abs=1e-300)
        if k == 2000:
            slowly = one_by_one(p, v, G, rates, s, motion, decay)
            assert float(slowly[0]) == pytest.approx(expected[0], rel=1e-14)


@pytest.mark.parametrize(("hyper", "decay"), [({"l1": 0.01}, 0.0), ({}, 0.3)])
def test_any_schedule_of_l1_or_decay_alone(hyper, decay):
    s = scalars(learning_rate=0.5, **hyper)
    rates = np.random.default_rng(0).uniform(0, 1, 50).tolist()
    expected, _ = one_by_one(2.0, 0.0, 4.0, rates, s, "plain", decay)
    found, _ = at_once(2.0, 0.0, 4.0, rates, s, "plain", decay)
    assert found == pytest.approx(float(expected), rel=1e-12)


def test_limits():
    plain = make_catch_up(adagrad, "plain")
    s = scalars(learning_rate=1.0, l1=0.1, l2=1.0)
    assert plain(1.0, (1.0,), (), missed_steps(10**6, 1e5, 0.0), s) == (0.0, ())  # r**k underflows
    assert plain(1.0, (0.0,), (), missed_steps(10**6, 1e5, 0.0), s) == (1.0, ())  # no metric yet
    assert math.copysign(1, plain(-1.0, (1.0,), (), missed_steps(10**6, 1e5, 0.0), s)[0]) == 1  # a zero is +0
    assert math.isnan(plain(math.nan, (1.0,), (), missed_steps(3, 0.3, 0.0), s)[0])
    s = scalars(learning_rate=1.0, momentum=0.999)
    p, (v,) = make_catch_up(adagrad, "momentum")(1.0, (1.0,), (1.0,), missed_steps(10**6, 0.0, 0.0), s)
    assert p == pytest.approx(1 + 0.999 / (1 - 0.999), rel=1e-12)
    assert v == pytest.approx(0.0, abs=1e-300)
    p, _ = make_catch_up(adagrad, "momentum")(1.0, (1.0,), (1.0,), missed_steps(20_000, 0.0, 20_000 * math.log(0.5)), s)
    assert p == pytest.approx(0.999 * 0.999**20_000 / (0.999 - 0.5), rel=1e-9)  # c**k underflows, m**k does not
