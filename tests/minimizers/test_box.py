"""Bounds in either form of SciPy's, what is refused, and that clipping is the projection in a diagonal metric."""

import bowls
import numpy as np
import pytest

import fastadagrad as fa
from fastadagrad.minimizers.box import box_of

optimize = pytest.importorskip("scipy.optimize", reason="needs the extra scipy")

INF = np.inf


@pytest.mark.parametrize(
    ("bounds", "lower", "upper"),
    [
        (None, [-INF, -INF], [INF, INF]),
        ([(0, 1), (None, None)], [0, -INF], [1, INF]),
        (((None, 2), (-1, None)), [-INF, -1], [2, INF]),
        (np.array([[0.0, 1.0], [2.0, 3.0]]), [0, 2], [1, 3]),
        ([(np.array([0.5]), np.float32(1)), [-INF, INF]], [0.5, -INF], [1, INF]),
        (zip([0, 1], [2, 1], strict=True), [0, 1], [2, 1]),
        (optimize.Bounds([0, -INF], [1, 2]), [0, -INF], [1, 2]),
        (optimize.Bounds(-1, [1, 2]), [-1, -1], [1, 2]),
        (optimize.Bounds(), [-INF, -INF], [INF, INF]),
        (optimize.Bounds(0, 1, keep_feasible=True), [0, 0], [1, 1]),
    ],
)
def test_both_forms(bounds, lower, upper):
    box = box_of(bounds, 2)
    assert (box.lower.tolist(), box.upper.tolist()) == (lower, upper)
    assert box.lower.dtype == box.upper.dtype == np.float64
    assert box.bounded == (np.isfinite(lower + upper).any())
    assert box.free.tolist() == [low < high for low, high in zip(lower, upper, strict=True)]


@pytest.mark.parametrize(
    ("bounds", "error", "said"),
    [
        ([(0, 1)], ValueError, "a pair for each of the 2 elements of x0, not 1"),
        ([], ValueError, "a pair for each of the 2 elements of x0, not 0"),
        ([(0, 1), (0, 1, 2)], ValueError, r"bounds\[1\] must be a pair \(lower, upper\), each a number or None"),
        ([(1, 0), (0, 1)], ValueError, r"no lower bound above its upper one, but those of x\[0\] are 1 and 0"),
        ([(0, 1), (np.nan, 1)], ValueError, r"the lower bound of x\[1\] is NaN: None leaves it open"),
        ([(0, 1), (0, float("nan"))], ValueError, r"the upper bound of x\[1\] is NaN"),
        (3, TypeError, "must be a scipy.optimize.Bounds, a sequence of pairs .lower, upper., or None, not 3"),
        ([0, 1], TypeError, "must be a scipy.optimize.Bounds, a sequence of pairs"),
        ([("a", 1), (0, 1)], ValueError, "a number as each end, and as many of them as x0 has elements, 2"),
        ([({}, 1), (0, 1)], TypeError, "a number as each end"),
        (optimize.Bounds([0, 0, 0], 1), ValueError, "as many of them as x0 has elements, 2"),
    ],
)
def test_what_is_refused(bounds, error, said):
    with pytest.raises(error, match=said):
        box_of(bounds, 2)


def test_projected_gradient():
    """An element that its bound stops counts as far as it may move: as L-BFGS-B measures it."""
    box = box_of([(0, 1)] * 5 + [(None, None)], 6)
    x, gradient = np.array([0.0, 1.0, 0.25, 0.5, 1.0, 9.0]), np.array([3.0, -3.0, 3.0, -0.125, 0.0, 0.0625])
    assert box.steepest(x, gradient) == 0.25
    assert box.steepest(x, np.array([3.0, -3.0, 0, -0.125, 0, 0.0625])) == 0.125
    assert box.steepest(x, np.array([3.0, -3.0, 0, 0, 0, 0.0625])) == 0.0625
    assert box.steepest(x, np.array([-3.0, 3.0, 0, 0, 0, 0])) == 1
    assert box_of(None, 0).steepest(np.zeros(0), np.zeros(0)) == 0


@pytest.mark.parametrize("seed", range(20))
def test_clipping_is_the_projection_in_a_diagonal_metric(seed):
    """The nearest point of the box by sum H*(p - q)^2 is found by SciPy's solver of bounded least squares."""
    rng = np.random.default_rng(seed)
    q, H = rng.normal(size=6), np.exp(3 * rng.normal(size=6))
    lower = rng.normal(size=6) - 0.5
    upper = lower + rng.random(6) + 0.01
    nearest = optimize.lsq_linear(np.diag(np.sqrt(H)), np.sqrt(H) * q, (lower, upper), method="bvls", tol=1e-15)
    assert nearest.status > 0
    box, p = box_of(optimize.Bounds(lower, upper), 6), q.copy()
    box.clip(p)
    assert box.holds(p)
    assert p != pytest.approx(q)
    np.testing.assert_allclose(p, nearest.x, rtol=1e-12, atol=1e-12)


def test_a_step_is_projected_in_the_metric_of_adagrad():
    """By the H of the step itself, from the accumulator that it leaves."""
    lower, upper = np.array([-0.5, -0.25, -1.0]), np.array([0.5, 1.0, 1.0])
    p = bowls.START.copy()
    opt = fa.ADAGRAD(params=p, learning_rate=1.5)
    for _ in range(4):
        g, before = bowls.slope(p), p.copy()
        opt.step(g)
        H = np.sqrt(opt.state["param0"]["accumulator"]) + 1e-8
        # The step with bounds is the p in them that minimises a*g*p + H/2*(p - before)^2.
        root = np.sqrt(H)
        found = optimize.lsq_linear(np.diag(root), root * before - 1.5 * g / root, (lower, upper), method="bvls")
        box_of(optimize.Bounds(lower, upper), 3).clip(p)
        np.testing.assert_allclose(p, found.x, rtol=1e-12, atol=1e-12)
    assert ((p == lower) | (p == upper)).any()
    assert ((p != lower) & (p != upper)).any()


def test_dual_averaging_is_projected_in_its_metric():
    """All gradients so far, and the origin: the p in the box that minimises a*z*p + H/2*(p - origin)^2."""
    lower, upper = np.array([-0.5, -0.25, -1.0]), np.array([0.5, 1.0, 1.0])
    p = bowls.START.copy()
    opt = fa.AdaGradDA(params=p, learning_rate=1.0)
    total = np.zeros(3)
    for _ in range(4):
        g = bowls.slope(p)
        total += g
        opt.step(g)
        H = np.sqrt(opt.state["param0"]["accumulator"]) + opt.hyper.rms_regularizer
        root = np.sqrt(H)
        found = optimize.lsq_linear(np.diag(root), root * bowls.START - total / root, (lower, upper), method="bvls")
        box_of(optimize.Bounds(lower, upper), 3).clip(p)
        np.testing.assert_allclose(p, found.x, rtol=1e-12, atol=1e-12)
    assert ((p == lower) | (p == upper)).any()
    assert ((p != lower) & (p != upper)).any()
