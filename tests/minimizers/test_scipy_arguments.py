"""What users of `scipy.optimize.minimize` expect of its arguments: rows of the table in docs/conventions.md."""

import bowls
import numpy as np
import pytest
from conventions import minimized, rows, theirs

import fastadagrad.scipy

optimize = pytest.importorskip("scipy.optimize", reason="needs the extra scipy")

adagrad = fastadagrad.scipy.adagrad
ROWS, row = rows()


@row(
    "`method=` takes a name or a function",
    "`method=fastadagrad.scipy.adagrad`, and so every method; `fastadagrad.scipy.method(name)` takes any case",
)
def test_method():
    assert minimized(learning_rate=0.5).success
    assert fastadagrad.scipy.method("AdaGrad") is adagrad


@row(
    "`args` go to `fun` and `jac`; one that is no tuple will do",
    "the same, and to `hessp`",
)
def test_args():
    def fun(x, scale):
        return scale * bowls.value(x)

    def jac(x, scale):
        return scale * bowls.slope(x)

    def hessp(x, p, scale):
        return scale * bowls.product(x, p)

    scaled = minimized(lambda x: (fun(x, 3.0), jac(x, 3.0)), maxiter=3).x.tolist()
    assert minimized(fun, jac=jac, args=(3.0,), maxiter=3).x.tolist() == scaled
    assert minimized(fun, jac=jac, args=3.0, maxiter=3).x.tolist() == scaled
    assert adagrad(fun, bowls.START, 3.0, jac=jac, maxiter=3).x.tolist() == scaled
    esgd = {"method": fastadagrad.scipy.esgd, "maxiter": 3, "hv_rng": 0}
    plain = minimized(lambda x: (fun(x, 3.0), jac(x, 3.0)), hessp=lambda x, p: hessp(x, p, 3.0), **esgd)
    assert minimized(fun, jac=jac, hessp=hessp, args=(3.0,), **esgd).x.tolist() == plain.x.tolist()


@row("`jac=True`: `fun` returns (value, gradient) and is called once at a point", "the same")
def test_jac_true():
    calls = []

    def fun(x):
        calls.append(x)
        return bowls.both(x)

    result = minimized(fun, maxiter=4)
    assert len(calls) == result.nfev == result.njev == 5
    assert adagrad(fun, bowls.START, jac=True, maxiter=4).x.tolist() == result.x.tolist()
    assert len(calls) == 10


@row(
    '`jac=None` or `"2-point"`: finite differences within the bounds; options `eps` and `finite_diff_rel_step`',
    "the same, by SciPy's `approx_derivative`, with its relative step where there is no `eps`; `nfev` counts them",
)
def test_two_point_differences():
    from scipy.optimize._numdiff import approx_derivative

    expected = approx_derivative(bowls.value, bowls.START, "2-point")
    for jac in (None, False, "2-point"):
        result = minimized(bowls.value, jac=jac, maxiter=0)
        assert result.jac.tolist() == expected.tolist()
        assert (result.nfev, result.njev) == (4, 1)
    by_eps = approx_derivative(bowls.value, bowls.START, "2-point", abs_step=0.25)
    assert minimized(bowls.value, jac=None, maxiter=0, eps=0.25).jac.tolist() == by_eps.tolist()
    assert np.linalg.norm(minimized(bowls.value, jac=None, learning_rate=0.5).x - bowls.MIDDLE) < 1e-4


@row(
    '`jac="3-point"` and `"cs"` choose another scheme',
    "SciPy replaces the name of a scheme by None before it calls a method that is a function, so that two-point "
    'differences are used: pass `options={"finite_diff": "3-point"}`',
)
def test_other_schemes():
    plain = minimized(bowls.value, jac=None, maxiter=0)
    assert minimized(bowls.value, jac="3-point", maxiter=0).jac.tolist() == plain.jac.tolist()
    options = {"jac": None, "maxiter": 0}
    errors = [
        abs(minimized(lambda x: x[0] ** 3, [1.5], finite_diff=scheme, **options).jac[0] - 6.75)
        for scheme in ("2-point", "3-point", "cs")
    ]
    assert 1e-9 < errors[0] < 1e-6
    assert errors[1] < errors[0] / 10
    assert errors[2] < 1e-14


@row(
    "`callback(xk)`, or `callback(*, intermediate_result)` with x and fun, after each iteration",
    "the same; the intermediate result has jac, nit, nfev and njev, too",
)
def test_callbacks():
    xs, results = [], []
    last = minimized(maxiter=3, callback=xs.append)
    assert np.shape(xs) == (3, 3)
    assert xs[-1].tolist() == last.x.tolist()

    def callback(intermediate_result):
        results.append(intermediate_result)
        intermediate_result.x[:] = 0  # its own

    def keyword(*, intermediate_result):
        callback(intermediate_result)

    def both(xk, intermediate_result=None):
        assert intermediate_result is None
        xs.append(xk)

    for each in (callback, keyword):
        results.clear()
        assert minimized(maxiter=3, callback=each).x.tolist() == last.x.tolist()
        assert [type(result) for result in results] == [optimize.OptimizeResult] * 3
        assert [(result.nit, result.nfev, result.njev) for result in results] == [(1, 2, 2), (2, 3, 3), (3, 4, 4)]
        assert [result.fun for result in results] == [bowls.value(x) for x in xs[:3]]
        assert [result.jac.tolist() for result in results] == [bowls.slope(x).tolist() for x in xs[:3]]
    minimized(maxiter=3, callback=both)
    assert len(xs) == 6


@row(
    "StopIteration in a callback ends it: status 99, `success=False`",
    "the same, with SciPy's message; x is the iterate that the callback was given",
)
def test_stop_iteration():
    def ended(method):
        xs = []

        def callback(xk):
            xs.append(xk)
            if len(xs) == 2:
                raise StopIteration

        return xs, minimized(method=method, callback=callback, maxiter=9)

    (xs, result), (_, expected) = ended(adagrad), ended("L-BFGS-B")
    assert result.x.tolist() == xs[-1].tolist()
    for key in ("status", "success", "message", "nit"):
        assert result[key] == expected[key]
    assert (result.status, result.nit) == (99, 2)


@row("what a callback returns is not looked at (but by trust-constr)", "it is not looked at")
def test_what_a_callback_returns():
    for method in ("BFGS", "L-BFGS-B", adagrad):
        calls = []
        result = minimized(method=method, callback=lambda xk, calls=calls: calls.append(xk) or True, maxiter=3)
        assert result.nit == len(calls) == 3


@row(
    "`bounds`: a `Bounds`, or pairs in which None is open",
    "the same: each iterate is projected onto them in the method's metric, which is to clip each element",
)
def test_bounds():
    bounds = [(None, 0.5), (-1, None), (None, None)]
    xs = []
    result = minimized(bounds=bounds, learning_rate=0.5, callback=xs.append)
    assert all(x[0] <= 0.5 and x[1] >= -1 for x in xs)
    new = optimize.Bounds([-np.inf, -1, -np.inf], [0.5, np.inf, np.inf])
    assert minimized(bounds=new, learning_rate=0.5).x.tolist() == result.x.tolist()
    assert np.linalg.norm(result.x - theirs("L-BFGS-B", bounds=bounds, gtol=1e-10, ftol=0).x) < 2e-5


@row(
    "an x0 out of bounds is clipped, by some methods with an OptimizeWarning",
    'clipped, with the OptimizeWarning "Initial guess is not within the specified bounds"',
)
def test_start_out_of_bounds():
    bounds = [(1, 2), (None, 0.5), (None, None)]
    with pytest.warns(optimize.OptimizeWarning, match="^Initial guess is not within the specified bounds") as seen:
        result = adagrad(bowls.both, bowls.START, jac=True, bounds=bounds, maxiter=0)
    assert [each.filename for each in seen] == [__file__]
    assert result.x.tolist() == [1, 0.5, -0.5]
    with pytest.warns(optimize.OptimizeWarning, match="^Initial guess is not within the specified bounds"):
        minimized(bowls.value, jac=None, method="Nelder-Mead", bounds=bounds)


@row("x0 is not changed, and x is of float64", "the same, also of a float32 x0, whose bits it starts at")
def test_start():
    x0 = np.array([0.25, 0.1, 7], np.float32)
    seen = []

    def fun(x):
        seen.append((x.dtype, x.tolist()))
        return bowls.both(x)

    result = minimized(fun, x0, maxiter=2)
    assert x0.tolist() == [0.25, np.float32(0.1), 7]
    assert seen[0] == (np.float64, [0.25, float(np.float32(0.1)), 7])
    assert result.x.dtype == result.jac.dtype == np.float64
    assert theirs("L-BFGS-B", x0=x0).x.dtype == np.float64
    assert minimized(x0=[0, 1, 2], maxiter=1).x.tolist() == minimized(x0=[0.0, 1.0, 2.0], maxiter=1).x.tolist()
    assert minimized(lambda x: (x[0] ** 2, 2 * x), 3, learning_rate=0.5).x.shape == (1,)


@row("an x0 of two dimensions is refused", "refused: pass `x0.ravel()`, and reshape x in `fun`")
def test_shape_of_start():
    for method in ("L-BFGS-B", adagrad):
        with pytest.raises(ValueError, match="'x0' must only have one dimension"):
            minimized(x0=np.ones((3, 1)), method=method)
    with pytest.raises(ValueError, match=r"pass x0\.ravel"):
        adagrad(bowls.both, np.ones((3, 1)), jac=True)


@row("`fun`, `jac` and callbacks may write to the x that they are given", "the same: each gets a copy")
def test_copies():
    def fun(x):
        value = bowls.value(x)
        x[:] = 9
        return value

    buffer = np.empty(3)

    def jac(x):
        buffer[:] = bowls.slope(x)
        x[:] = 9
        return buffer

    def callback(xk):
        xk[:] = 9

    expected = minimized(maxiter=3)
    result = minimized(fun, jac=jac, callback=callback, maxiter=3)
    assert (result.x.tolist(), result.jac.tolist()) == (expected.x.tolist(), expected.jac.tolist())
    assert not np.shares_memory(result.jac, buffer)


@row("`fun` may return an array of one element", "the same; result.fun is a float")
def test_one_element():
    for wrap in (lambda value: np.array([value]), lambda value: np.array([[value]]), np.float32, np.array):
        result = minimized(lambda x, wrap=wrap: wrap(bowls.value(x)), jac=bowls.slope, maxiter=2)
        assert type(result.fun) is float
        assert result.fun == pytest.approx(bowls.value(result.x), rel=1e-6)
