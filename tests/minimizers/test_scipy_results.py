"""What users of `scipy.optimize.minimize` expect of options and results: rows of the table in docs/conventions.md."""

import re
from itertools import pairwise

import bowls
import numpy as np
import pytest
from conventions import minimized, rows, theirs

import fastadagrad.scipy

optimize = pytest.importorskip("scipy.optimize", reason="needs the extra scipy")

adagrad = fastadagrad.scipy.adagrad
ROWS, row = rows()


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
        optimize.minimize(bowls.both, bowls.START, jac=True, method=adagrad, options={"maxiter": 0, "foo": 1})
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
