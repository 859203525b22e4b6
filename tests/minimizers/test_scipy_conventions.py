"""What users of `scipy.optimize.minimize` expect, and what they get: each row of the table in docs/conventions.md."""

import re
from itertools import pairwise

import bowls
import numpy as np
import pytest
from places import ROOT

import fastadagrad.scipy

optimize = pytest.importorskip("scipy.optimize", reason="needs the extra scipy")

adagrad = fastadagrad.scipy.adagrad
ROWS = {}  # what is expected, and what they get, by the test that shows it


def row(expected, got):
    """Decorator of the test that shows a row."""

    def noted(test):
        assert test.__name__ not in ROWS
        ROWS[test.__name__] = expected, got
        return test

    return noted


def minimized(fun=bowls.both, x0=bowls.START, *, jac=True, method=adagrad, tol=None, callback=None, **given):
    """By `minimize`, with what is not its own as options."""
    own = {key: given.pop(key) for key in ("args", "bounds", "constraints", "hess", "hessp") if key in given}
    return optimize.minimize(fun, x0, jac=jac, method=method, tol=tol, callback=callback, options=given, **own)


def theirs(name, **given):
    return minimized(method=name, **given)


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
    "`minimize` tells a function of no scheme, and gives two points without a word: write "
    '`options={"finite_diff": "3-point"}`',
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
        result = minimized(bounds=bounds, maxiter=0)
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


@row("`tol` sets the tolerance of the method, of BFGS `gtol`", "it sets `gtol`, unless that is given")
def test_tol():
    for method, options in ((adagrad, {"learning_rate": 0.5}), ("BFGS", {})):
        rough, fine = (minimized(method=method, tol=tol, **options) for tol in (0.5, 1e-8))
        assert 1e-8 < abs(rough.jac).max() <= 0.5
        assert abs(fine.jac).max() <= 1e-8
        both = minimized(method=method, tol=0.5, gtol=1e-8, **options)
        assert both.x.tolist() == fine.x.tolist()


@row(
    "`gtol` 1e-5 ends it with status 0, by the largest element of the projected gradient",
    "the same; penalties and decay of the method itself (`l1`, `weight_decay`, ...) have no share in it",
)
def test_gtol():
    xs = []
    result = minimized(learning_rate=0.5, callback=xs.append)
    assert (result.success, result.status) == (True, 0)
    assert result.message.startswith("Optimization terminated successfully: the largest element of the gradient is ")
    assert abs(result.jac).max() <= 1e-5 < abs(bowls.slope(xs[-2])).max()
    at_once = minimized(x0=bowls.MIDDLE, callback=xs.append)
    assert (at_once.success, at_once.nit, at_once.nfev) == (True, 0, 1)
    assert at_once.x.tolist() == theirs("BFGS", x0=bowls.MIDDLE).x.tolist()
    bounded = minimized(bounds=[(None, 0.75)] * 3, learning_rate=0.5)
    assert bounded.message.startswith("Optimization terminated successfully: the largest element of the projected ")
    assert abs(bounded.jac).max() > 1e-5
    assert not minimized(learning_rate=0.5, l2=1.0, maxiter=100).success


@row(
    "`ftol`, and `xtol` or `xrtol`, end it where fun or x hardly change",
    "off unless they are given, as short steps of a method without line search are no sign of a minimum: "
    "|f - f'| <= ftol * max(|f|, |f'|, 1), and no element of x moved by more than `xtol`",
)
def test_other_tolerances():
    xs = []
    assert minimized(maxiter=3, gtol=0, learning_rate=1e-12).status == 1
    by_fun = minimized(learning_rate=0.5, ftol=1e-3, callback=xs.append)
    assert (by_fun.status, "at most ftol = 0.001" in by_fun.message) == (0, True)
    f = [bowls.value(x) for x in xs]
    changes = [abs(a - b) / max(abs(a), abs(b), 1) for a, b in pairwise(f)]
    assert changes[-1] <= 1e-3 < min(changes[:-1])
    xs.clear()
    by_x = minimized(learning_rate=0.5, xtol=1e-2, callback=xs.append)
    assert (by_x.status, "at most xtol = 0.01" in by_x.message) == (0, True)
    moves = [abs(a - b).max() for a, b in pairwise(xs)]
    assert moves[-1] <= 1e-2 < min(moves[:-1])


@row(
    "`maxiter` ends it with status 1 and `success=False`",
    "the same, after 15,000 iterations by default; the message tells the gradient and the learning rate",
)
def test_maxiter():
    result = minimized(maxiter=2)
    assert (result.success, result.status, result.nit) == (False, 1, 2)
    assert result.message == (
        f"Maximum number of iterations has been exceeded: after 2 iterations the largest element of the gradient is "
        f"{abs(result.jac).max():.3g}, above gtol = 1e-05; choose a larger maxiter, or another learning_rate than "
        "0.0001."
    )
    expected = theirs("BFGS", maxiter=1)
    assert (expected.success, expected.status) == (False, 1)
    assert result.message.startswith(expected.message.rstrip("."))
    assert minimized(maxiter=0).nit == 0
    assert minimized(lambda x: (x[0] ** 2, 2 * x), [1.0]).nit == 15_000
    assert minimized(method=fastadagrad.scipy.dog, maxiter=2).message.endswith("choose a larger maxiter.")


@row(
    "the result is the last iterate, which line searches make the lowest",
    "the last iterate; without a line search one before may have been lower: a callback can keep it",
)
def test_last_iterate():
    seen = []

    def callback(intermediate_result):
        seen.append(intermediate_result)

    result = minimized(method=fastadagrad.scipy.sgd, learning_rate=0.7, maxiter=7, callback=callback)
    assert result.x.tolist() == seen[-1].x.tolist()
    assert result.fun == seen[-1].fun > min(each.fun for each in seen)


@row(
    "x, fun, jac, nit, nfev, njev, success, status and message in an `OptimizeResult`; a line search takes several "
    "evaluations",
    "the same fields, `nhev` of ESGD; an iteration takes one of `fun` and one of `jac`: `nfev = njev = nit + 1`",
)
def test_result():
    calls = {"fun": 0, "jac": 0}

    def fun(x):
        calls["fun"] += 1
        return bowls.value(x)

    def jac(x):
        calls["jac"] += 1
        return bowls.slope(x)

    result = minimized(fun, jac=jac, maxiter=7)
    assert type(result) is optimize.OptimizeResult
    assert {*result} == {"x", "fun", "jac", "nit", "nfev", "njev", "success", "status", "message"}
    assert {*result} <= {*theirs("BFGS")}
    assert (result.nit, result.nfev, result.njev) == (7, calls["fun"], calls["jac"]) == (7, 8, 8)
    esgd = minimized(method=fastadagrad.scipy.esgd, hessp=bowls.product, maxiter=7)
    assert (esgd.nit, esgd.nfev, esgd.nhev) == (7, 8, 7)


@row(
    'NaN ends BFGS with status 3, "NaN result encountered."',
    "the same of NaN and infinity in `fun`, `jac` or `hessp`; x is the last iterate at which all was finite",
)
def test_nan():
    result = minimized(lambda x: (np.nan if x[0] > 0.5 else bowls.value(x), bowls.slope(x)), learning_rate=0.125)
    expected = theirs("BFGS", fun=lambda x: np.nan, x0=np.ones(2), jac=lambda x: 2 * x)
    for key in ("status", "success"):
        assert result[key] == expected[key]
    assert result.status == 3
    assert result.message.startswith(expected.message.rstrip("."))
    assert result.x[0] <= 0.5
    assert result.fun == bowls.value(result.x)


@row(
    'an option that is not known: OptimizeWarning "Unknown solver options: ..."',
    "the same, and what was probably meant, also of names of other libraries (`lr`); so it is of keywords that have a "
    "meaning for optimizers alone (`patience`, `groups`, `nonfinite`, ...)",
)
def test_unknown_options():
    with pytest.warns(optimize.OptimizeWarning) as seen:
        minimized(maxiter=0, foo=1)
    assert [(str(each.message), each.filename) for each in seen] == [("Unknown solver options: foo", __file__)]
    with pytest.warns(optimize.OptimizeWarning, match="^Unknown solver options: foo$"):
        theirs("L-BFGS-B", foo=1)
    for name, told in {
        "learning_rat": "did you mean 'learning_rate'?",
        "lr": "did you mean 'learning_rate'?",
        "max_iter": "did you mean 'maxiter'?",
        "max_epochs": "did you mean 'maxiter'?",
        "maxfun": "it is maxiter here: each iteration evaluates fun once",
        "xatol": "did you mean 'xtol'?",
        "return_all": "a callback sees every x",
        "patience": "it ends by maxiter, gtol, ftol or xtol here",
        "groups": "x is one parameter; bounds of which both ends are the same hold an element",
        "nonfinite": "what is not finite ends it with success=False",
        "lazy": "a gradient of minimize is dense",
    }.items():
        said = f"^Unknown solver options: {re.escape(name)} \\({re.escape(told)}\\)$"
        with pytest.warns(optimize.OptimizeWarning, match=said):
            minimized(maxiter=0, **{name: 1})
    with pytest.warns(optimize.OptimizeWarning, match=r"^Unknown solver options: foo, momentu \(did you mean 'mom"):
        adagrad(bowls.both, bowls.START, jac=True, maxiter=0, foo=1, momentu=2)


@row(
    "`eps` is the step of finite differences, and ignored where there is a `jac`",
    "the same, with an OptimizeWarning where there is a `jac`: the e of a method is `rms_regularizer`",
)
def test_eps():
    with pytest.warns(optimize.OptimizeWarning, match=r"^eps of finite differences has no use with jac .*rms_regular"):
        result = minimized(maxiter=2, eps=0.5)
    assert result.x.tolist() == minimized(maxiter=2).x.tolist() != minimized(maxiter=2, rms_regularizer=0.5).x.tolist()


@row("`disp=True` prints how it ended; else nothing is printed", "the same")
def test_disp(capsys):
    minimized(maxiter=2)
    assert capsys.readouterr() == ("", "")
    result = minimized(learning_rate=0.5, disp=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == result.message
    theirs("BFGS", disp=True)
    told = capsys.readouterr().out.splitlines()[1:]
    assert [line.partition(":")[0] for line in lines[1:]] == [line.partition(":")[0] for line in told]
    assert f"Iterations: {result.nit}" in lines[2]


@row(
    "a method that cannot keep `constraints` warns and ignores them",
    "ValueError: give bounds, add a penalty to `fun`, or use SLSQP, trust-constr or COBYLA",
)
def test_constraints():
    linear = optimize.LinearConstraint(np.ones((1, 3)), 0, 1)
    for constraints in (linear, [linear], {"type": "ineq", "fun": lambda x: x[0]}):
        with pytest.raises(ValueError, match=r"constraints are none that adagrad can keep, .*: give bounds="):
            minimized(constraints=constraints)
    with pytest.warns(RuntimeWarning, match="cannot handle constraints"):
        theirs("BFGS", constraints={"type": "ineq", "fun": lambda x: x[0]})
    for nothing in ((), []):
        assert minimized(constraints=nothing, maxiter=2).nit == 2


@row(
    "a method that has no use for `hess` or `hessp` warns and ignores them",
    "ValueError that says what to do; ESGD goes by `hessp`, with vectors drawn by the option `hv_rng`, and needs it",
)
def test_hess():
    for hess in (lambda x: bowls.CURVATURE, "2-point", optimize.BFGS()):
        with pytest.raises(ValueError, match="hess is no use to adagrad, which forms no Hessian: leave it out, or use"):
            minimized(hess=hess)
    with pytest.raises(ValueError, match="hessp is no use to adagrad, which goes by gradients alone: leave it out"):
        minimized(hessp=bowls.product)
    with pytest.warns(RuntimeWarning, match="does not use Hessian information"):
        theirs("BFGS", hess=lambda x: bowls.CURVATURE)
    esgd = fastadagrad.scipy.esgd
    with pytest.raises(ValueError, match=r"hess is no use to esgd, .*: pass hessp=lambda x, p: hess\(x\) @ p"):
        minimized(method=esgd, hess=lambda x: bowls.CURVATURE)
    with pytest.raises(TypeError, match=r"hessp must be a callable hessp\(x, p, \*args\), which esgd goes by, not"):
        minimized(method=esgd)
    result = minimized(method=esgd, hessp=bowls.product, learning_rate=0.1, averaged=True, hv_rng=0)
    assert result.success
    assert np.linalg.norm(result.x - bowls.MIDDLE) < 1e-4


@row(
    "a variable whose bounds are the same keeps its value; finite differences leave its gradient NaN",
    "the same",
)
def test_fixed():
    bounds = [(0.25, 0.25), (None, None), (None, None)]
    for method, options in (("L-BFGS-B", {}), (adagrad, {"learning_rate": 0.5})):
        result = minimized(bowls.value, jac=None, method=method, bounds=bounds, **options)
        assert result.success
        assert result.x[0] == 0.25
        assert np.isnan(result.jac).tolist() == [True, False, False]
        exact = minimized(method=method, bounds=bounds, **options)
        assert exact.jac[0] == pytest.approx(bowls.slope(exact.x)[0])
        assert np.linalg.norm(exact.x - result.x) < 1e-4


@row(
    "the defaults find a minimum of a smooth function",
    "`learning_rate` is for you to choose: the defaults are the method's own, small ones; `cocob`, `dog`, `dowg` and "
    "`dadapt_adagrad` need none",
)
def test_defaults():
    assert theirs("BFGS").success
    assert not minimized().success
    assert minimized(learning_rate=0.5).success
    for name in ("cocob", "dog", "dowg", "dadapt_adagrad"):
        result = minimized(method=fastadagrad.scipy.method(name), tol=1e-3)
        assert result.success, name


@row(
    "values of options that make no sense are refused, or not looked at",
    "refused before `fun` is called: the message names the option, what was expected and what came",
)
def test_values_of_options():
    def never(x):
        raise AssertionError("it was called")

    for (name, option), said in {
        ("maxiter", -1): "maxiter must be a whole number of at least 0, not -1",
        ("gtol", "a"): "gtol must be a number, not 'a'",
        ("learning_rate", -1): "learning_rate must be finite and at least 0, not -1",
        ("nesterov", 2): "nesterov must be True or False, not 2",
        ("accumulator", "col"): "accumulator must be one of 'element', 'row', 'tensor', not 'col'",
    }.items():
        with pytest.raises((TypeError, ValueError), match=f"^{said}$"):
            minimized(never, jac=never, **{name: option})


def test_the_table_has_these_rows():
    """Each row of the document is a test here, and each test is a row."""
    text = (ROOT / "docs" / "conventions.md").read_text()
    section = re.split(r"^## ", text, flags=re.MULTILINE)
    (told,) = [part for part in section if part.startswith("SciPy\n")]
    lines = [line for line in told.splitlines() if line.startswith("|")]
    assert lines[0] == "| what users of SciPy expect | what they get |"
    found = [tuple(re.split(r" (?<!\\)\| ", line[2:-2])) for line in lines[2:]]
    expected = [(a.replace("|", r"\|"), b.replace("|", r"\|")) for a, b in ROWS.values()]
    assert found == expected
    assert len(found) == sum(name.startswith("test_") for name in globals()) - 1
