"""How far implicit steps go, beside the differential equation that they solve, and the loops that make them."""

import math

import numpy as np
import pytest
import scipy.sparse
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.special import wrightomega

from fastadagrad.kernels.linear import implicit
from fastadagrad.kernels.linear.losses import COUNTS, LOSSES, TWO_CLASSES
from fastadagrad.linear import LinearModel

OF_ONE_SCORE = [loss for loss in LOSSES.values() if loss.slope is not None]
SMOOTH = [loss for loss in OF_ONE_SCORE if loss.name not in ("hinge", "quantile")]
OPTIONS = {"quantile": 0.3, "huber": 0.7}
each_loss = pytest.mark.parametrize("loss", OF_ONE_SCORE, ids=lambda loss: loss.name)


def option_of(loss):
    return (OPTIONS[loss.name],) if loss.option else ()


def label_for(loss, number):
    if loss.labels == TWO_CLASSES:
        return 1.0 if number > 0 else -1.0
    return float(round(abs(number))) if loss.labels == COUNTS else number


def moved_to(loss, score, label, reach):
    """The score after an implicit step."""
    option = option_of(loss)
    slope = loss.slope(score, label, *option)[0]
    return score - reach * slope * loss.share(score, label, slope, reach, *option)


@pytest.mark.parametrize("loss", SMOOTH, ids=lambda loss: loss.name)
def test_the_share_solves_the_differential_equation(loss):
    rng, option = np.random.default_rng(0), option_of(loss)
    for _ in range(40):
        score, label, reach = 3 * rng.normal(), label_for(loss, 3 * rng.normal()), 10 ** rng.uniform(-3, 2.5)

        def fall(t, z, label=label, reach=reach):
            return [-reach * loss.slope(z[0], label, *option)[0]]

        found = solve_ivp(fall, (0, 1), [score], method="LSODA", rtol=1e-10, atol=1e-12).y[0, -1]
        assert moved_to(loss, score, label, reach) == pytest.approx(found, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("margin", [-40.0, -3.0, 0.0, 0.5, 4.0, 15.0])
@pytest.mark.parametrize("reach", [1e-6, 0.1, 1.0, 30.0, 1e6])
def test_a_margin_moves_by_the_wright_omega_function(margin, reach):
    """M + exp(m) grows by the reach, and log(omega(c)) is the m for which m + exp(m) = c."""
    slope = -1 / (1 + math.exp(margin))
    moved = -reach * slope * implicit.of_logistic(margin, 1.0, slope, reach)
    if margin > -30:  # below, the sum has lost the exponential
        exact = math.log(wrightomega(margin + math.exp(margin) + reach)) - margin
        assert moved == pytest.approx(exact, rel=1e-7, abs=4e-15 * (1 + abs(margin)) * math.exp(max(margin, 0)))
    assert 0 < moved <= reach


@each_loss
@given(
    score=st.floats(-30, 30),
    number=st.floats(-20, 20),
    first=st.floats(1e-3, 1e3),
    second=st.floats(1e-3, 1e3),
)
@settings(max_examples=60, deadline=None)
def test_two_steps_after_one_another_are_one_of_both_importances(loss, score, number, first, second):
    label = label_for(loss, number)
    once = moved_to(loss, score, label, first + second)
    twice = moved_to(loss, moved_to(loss, score, label, first), label, second)
    assert once == pytest.approx(twice, rel=1e-6, abs=1e-6)


WILD = st.one_of(st.floats(-1e3, 1e3), st.sampled_from([0.0, 1e30, -1e30, 1e300, -1e300, 1e-300]))


@each_loss
@given(score=WILD, number=st.floats(-1e6, 1e6), reach=st.floats(0, allow_infinity=True))
@example(score=0.0, number=0.0, reach=0.0)
@example(score=-700.0, number=1.0, reach=math.inf)
@example(score=-220.0, number=0.0, reach=1e-228)
@settings(max_examples=150, deadline=None)
def test_a_share_is_between_0_and_1(loss, score, number, reach):
    label, option = label_for(loss, number), option_of(loss)
    with np.errstate(all="ignore"):  # compiled code raises nothing
        try:
            slope = loss.slope(score, label, *option)[0]
        except OverflowError:  # of exp, which is infinite in compiled code
            slope = math.inf
        assert 0 <= loss.share(score, label, slope, reach, *option) <= 1


def test_a_softmax_of_two_classes_is_logistic():
    for margin in (-5.0, 0.0, 3.0):
        chance = 1 / (1 + math.exp(-margin))
        for reach in (0.1, 10.0):
            # each of the two scores moves by reach/2 * (1 - chance), so that the margin moves by twice that
            share = implicit.of_softmax(chance, 1 - chance, reach * (1 - chance))
            assert share == pytest.approx(implicit.of_logistic(margin, 1.0, chance - 1, reach), rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_a_softmax_goes_no_further_than_the_differential_equation_along_its_step(seed):
    """Along z - t*c, where c is the explicit step, the step ends where small steps with the slope there would."""
    rng = np.random.default_rng(seed)
    scores, q = 2 * rng.normal(size=5), 10 ** rng.uniform(-1, 1, 5)

    def chances(z):
        e = np.exp(z - z.max())
        return e / e.sum()

    p, label = chances(scores), int(rng.integers(5))
    explicit = q * (p - np.eye(5)[label])
    start = 1 - p[label]

    def speed(u, t):
        return [(1 - chances(scores - t[0] * explicit)[label]) / start]

    exact = solve_ivp(speed, (0, 1), [0.0], rtol=1e-10, atol=1e-12).y[0, -1]
    others = np.delete(p, label) @ np.delete(explicit, label)
    share = implicit.of_softmax(p[label], start, others / start - explicit[label])
    assert 0 < share <= exact * (1 + 1e-9)


def by_formula(loss, X, y, rate, e, importance=1.0):
    """One epoch of implicit ADAGRAD with an intercept, in NumPy."""
    w, b, G, Gb, option = np.zeros(X.shape[1]), 0.0, np.zeros(X.shape[1]), 0.0, option_of(loss)
    for x, label in zip(X, y, strict=True):
        score = x @ w + b
        slope = loss.slope(score, label, *option)[0]
        g, g_b = importance * slope * x, importance * slope
        G, Gb = G + g * g, Gb + g_b * g_b
        H, H_b = np.sqrt(G) + e, math.sqrt(Gb) + e
        reach = rate * importance * (x @ (x / H) + 1 / H_b)
        share = loss.share(score, label, slope, reach, *option) if slope else 1.0
        w, b = w - rate * share * g / H, b - rate * share * g_b / H_b
    return w, b


@each_loss
@pytest.mark.parametrize("make", [np.asarray, scipy.sparse.csr_array], ids=["dense", "sparse"])
def test_the_loops_make_the_steps_of_the_formula(loss, make):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(80, 20)) * (rng.random((80, 20)) < 0.4)
    y = np.array([label_for(loss, number) for number in 3 * rng.normal(size=80)])
    options = {loss.option.name: OPTIONS[loss.name]} if loss.option else {}
    plain = {"scale": "none", "shuffle": False, "average": False, "dtype": np.float64, "max_epochs": 1}
    for rate in (0.1, 10.0):
        model = LinearModel(loss.name, learning_rate=rate, rms_regularizer=0.2, **plain, **options).fit(make(X), y)
        w, b = by_formula(loss, X, y, rate, 0.2)
        np.testing.assert_allclose(model.coef_, w, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(model.intercept_, b, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("make", [np.asarray, scipy.sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("loss", ["logistic", "softmax", "squared"])
def test_no_rate_makes_steps_overshoot(loss, make):
    """At a rate of 10,000, explicit steps throw the scores of the next examples far away, and implicit ones do not."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(300, 10))
    y = X @ rng.normal(size=10) + 0.3 * rng.normal(size=300)
    y = y if loss == "squared" else np.digitize(y, [-1, 1]) if loss == "softmax" else y > 0

    def losses(**options):
        """The progressive loss of the first epoch, and the loss in the end."""
        model = LinearModel(loss, average=False, max_epochs=10, scale="none", **options).fit(make(X), y)
        return model.history[0]["loss"], model.evaluate(make(X), y)["loss"]

    _, good = losses(learning_rate=0.1)
    progressive, final = losses(learning_rate=1e4)
    assert final < good + 0.5
    assert progressive < 1e-3 * losses(learning_rate=1e4, implicit=False)[0]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"batch_size": 2}, "batch_size=1"),
        ({"momentum": 0.9}, "momentum=0"),
        ({"method": "ftrl"}, "method=adagrad or rmsprop or sgd"),
        ({"method": "adam"}, "no multiple of its gradient"),
    ],
    ids=str,
)
def test_where_steps_cannot_be_implicit(options, reason):
    with pytest.raises(ValueError, match=reason):
        LinearModel(implicit=True, **options)
    LinearModel(**options)  # by default they are explicit then


def test_steps_of_all_features_are_not_implicit():
    X, y = scipy.sparse.csr_array(np.eye(4)), [0, 1, 0, 1]
    with pytest.raises(ValueError, match='lazy="dense"'):
        LinearModel(implicit=True, lazy="dense", l2=0.1).fit(X, y)
