"""Minima that are found, what is not finite, finite differences, and arguments that are refused."""

import builtins
import subprocess
import sys

import bowls
import numpy as np
import pytest

import fastadagrad as fa
import fastadagrad.scipy

optimize = pytest.importorskip("scipy.optimize", reason="needs the extra scipy")

adagrad = fastadagrad.scipy.adagrad
FAST = {"learning_rate": 0.5, "maxiter": 60_000}


@pytest.mark.parametrize("size", [2, 3, 5])
def test_rosenbrock(size):
    """As near to the minimum of L-BFGS-B as gradients within gtol are, by the curvature there."""
    x0 = np.resize([-1.2, 1.0], size)
    if size > 2:
        x0[0] = 1.2  # from -1.2 another local minimum is nearer
    theirs = optimize.minimize(optimize.rosen, x0, jac=optimize.rosen_der, method="L-BFGS-B", options={"ftol": 0})
    ours = optimize.minimize(optimize.rosen, x0, jac=optimize.rosen_der, method=adagrad, options=FAST)
    assert theirs.fun < 1e-9
    assert ours.success
    assert ours.status == 0
    assert abs(ours.jac).max() <= 1e-5
    flattest = np.linalg.eigvalsh(optimize.rosen_hess(np.ones(size)))[0]
    assert np.linalg.norm(ours.x - 1) < 1.1 * np.linalg.norm(ours.jac) / flattest
    assert ours.fun - theirs.fun < 0.55 * np.linalg.norm(ours.jac) ** 2 / flattest
    assert ours.fun == optimize.rosen(ours.x)
    assert ours.jac.tolist() == optimize.rosen_der(ours.x).tolist()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("adagrad", {"learning_rate": 0.5}),
        ("adam", {"learning_rate": 0.01}),
        ("rmsprop", {"learning_rate": 0.001}),
        ("adagrad_da", {"learning_rate": 1.0}),
        ("sgd", {"learning_rate": 0.1}),
        ("sgd", {"learning_rate": 0.1, "momentum": 0.5, "nesterov": True}),
        ("rprop", {"learning_rate": 0.1, "rprop_increase": 1.2, "rprop_decrease": 0.5}),
    ],
)
def test_bounds_that_are_active_at_the_solution(name, options):
    """The conditions of Karush, Kuhn and Tucker, and the point that L-BFGS-B finds."""
    bounds = [(None, 0.5), (-1.0, None), (-2.0, 2.0)]
    result = optimize.minimize(
        bowls.both,
        bowls.START,
        jac=True,
        bounds=bounds,
        method=fastadagrad.scipy.method(name),
        options=options,
    )
    assert result.success, result.message
    x, g = result.x, bowls.slope(result.x)
    active = []
    for i, (lower, upper) in enumerate(bounds):
        assert lower is None or x[i] >= lower
        assert upper is None or x[i] <= upper
        if x[i] == upper:
            assert g[i] < 0
            active.append(i)
        elif x[i] == lower:
            assert g[i] > 0
            active.append(i)
        else:
            assert abs(g[i]) <= 1e-5
    assert 0 < len(active) < 3
    theirs = optimize.minimize(bowls.both, bowls.START, jac=True, bounds=bounds, options={"gtol": 1e-10, "ftol": 0})
    np.testing.assert_allclose(x, theirs.x, rtol=0, atol=2e-5)


def test_rate_free_methods_need_no_options():
    for name in ("cocob", "dog", "dowg", "dadapt_adagrad"):
        result = optimize.minimize(bowls.both, bowls.START, jac=True, tol=1e-3, method=fastadagrad.scipy.method(name))
        assert result.success, (name, result.message)
        assert np.linalg.norm(result.x - bowls.MIDDLE) < 2e-3, name


@pytest.mark.parametrize("spoilt", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("of", ["fun", "jac"])
def test_what_is_not_finite_on_the_way(of, spoilt):
    """The iterate before is returned, and the message says what was not finite, and when."""
    xs = []

    def fun(x):
        return spoilt if of == "fun" and x[0] > 0.75 else bowls.value(x)

    def jac(x):
        return np.full(3, spoilt) if of == "jac" and x[0] > 0.75 else bowls.slope(x)

    options = {"learning_rate": 0.25}
    result = optimize.minimize(fun, bowls.START, jac=jac, method=adagrad, callback=xs.append, options=options)
    assert (result.success, result.status) == (False, 3)
    what = f"fun is {spoilt:g}" if of == "fun" else "jac is not finite"
    assert result.message == f"NaN result encountered: {what} after {result.nit} iterations; x is the iterate before."
    assert result.nit == len(xs) + 1 > 1
    assert result.x.tolist() == xs[-1].tolist()
    assert (result.fun, result.jac.tolist()) == (bowls.value(xs[-1]), bowls.slope(xs[-1]).tolist())


@pytest.mark.parametrize("spoilt", [np.nan, np.inf])
def test_what_is_not_finite_at_the_start(spoilt):
    result = optimize.minimize(lambda x: spoilt, [1.0, 2.0], jac=lambda x: x, method=adagrad)
    assert (result.success, result.status, result.nit, result.nfev, result.njev) == (False, 3, 0, 1, 0)
    assert result.message == f"NaN result encountered: fun is {spoilt:g} after 0 iterations; choose another x0."
    assert result.x.tolist() == [1, 2]
    assert np.isnan(result.jac).all()


def test_what_is_not_finite_of_x():
    """A function that is finite at infinity, with a gradient of 0 there, has no minimum there."""
    steep = {"learning_rate": 1e308, "maxiter": 5}
    result = optimize.minimize(
        lambda x: np.exp(-x[0]), [0.0], jac=lambda x: -10 * np.exp(-x), method=fastadagrad.scipy.sgd, options=steep
    )
    assert (result.success, result.status, result.x.tolist(), result.nfev) == (False, 3, [0], 1)
    assert result.message == "NaN result encountered: x is not finite after 1 iteration; x is the iterate before."
    result = adagrad(lambda x: 0.0, [1.0, np.nan], jac=lambda x: 0 * x)
    assert (result.success, result.status, result.nfev) == (False, 3, 0)
    assert result.message == "NaN result encountered: x is not finite after 0 iterations; choose another x0."


def test_what_is_not_finite_of_a_hessian_product_or_a_norm():
    def nothing(x, p):
        return p * np.nan

    result = optimize.minimize(bowls.both, bowls.START, jac=True, hessp=nothing, method=fastadagrad.scipy.esgd)
    assert (result.success, result.status, result.nit) == (False, 3, 0)
    assert result.message == "NaN result encountered: hessp is not finite after 0 iterations."
    options = {"max_gradient_norm": 1.0}
    result = optimize.minimize(lambda x: x[0], [0.0], jac=lambda x: [1e200], method=adagrad, options=options)
    assert (result.success, result.status, result.nit, result.x.tolist()) == (False, 3, 0, [0])
    assert "its norm overflows" in result.message
    assert "after 0 iterations" in result.message


@pytest.mark.parametrize("scheme", ["2-point", "3-point", "cs"])
def test_finite_differences(scheme):
    """Their errors are those that SciPy's `approx_derivative` has, to the bit."""
    from scipy.optimize._numdiff import approx_derivative

    def fun(x):
        return np.exp(x[0]) + x[0] * x[1] ** 3

    x0 = np.array([0.5, -0.75])
    direct = adagrad(fun, x0, jac=scheme, maxiter=0)
    assert direct.jac.tolist() == approx_derivative(fun, x0, scheme, f0=fun(x0)).tolist()
    asked = optimize.minimize(fun, x0, method=adagrad, options={"finite_diff": scheme, "maxiter": 0})
    assert asked.jac.tolist() == direct.jac.tolist()
    assert (direct.nfev, direct.njev) == ({"2-point": 3, "3-point": 5, "cs": 3}[scheme], 1)
    exact = np.array([np.exp(0.5) - 0.75**3, 3 * 0.5 * 0.75**2])
    assert abs(direct.jac - exact).max() < {"2-point": 1e-7, "3-point": 1e-9, "cs": 1e-15}[scheme]


def test_steps_of_finite_differences():
    from scipy.optimize._numdiff import approx_derivative

    x0, f0 = bowls.START, bowls.value(bowls.START)
    for options in ({"eps": 0.25}, {"finite_diff_rel_step": [0.5, 0.25, 0.125]}):
        steps = {"abs_step" if name == "eps" else "rel_step": step for name, step in options.items()}
        result = optimize.minimize(bowls.value, x0, method=adagrad, options={**options, "maxiter": 0})
        assert result.jac.tolist() == approx_derivative(bowls.value, x0, "2-point", f0=f0, **steps).tolist()


def test_finite_differences_stay_within_bounds():
    def fun(x):
        assert (x <= [1, 2]).all()
        assert (x >= [0, 2]).all()
        return np.sqrt(1 - x[0]) + (x[0] - x[1]) ** 2

    options = {"learning_rate": 0.25, "maxiter": 20}
    xs = []
    bounds = [(0, 1), (2, 2)]
    result = optimize.minimize(fun, [0.9, 2], bounds=bounds, method=adagrad, options=options, callback=xs.append)
    assert result.x.tolist() == [1, 2]
    assert xs[-1].tolist() == [1, 2]
    assert result.jac[0] < 0
    assert np.isnan(result.jac[1])
    fixed = optimize.minimize(fun, [0.5, 2], bounds=[(0.5, 0.5), (2, 2)], method=adagrad)
    assert (fixed.success, fixed.nit, fixed.nfev) == (True, 0, 1)
    assert np.isnan(fixed.jac).all()


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"jac": 3}, TypeError, "jac must be a callable"),
        ({"jac": "5-point"}, TypeError, "one of '2-point', '3-point', 'cs', or None, not '5-point'"),
        ({"fun": 3}, TypeError, r"fun must be callable, as fun\(x, \*args\), not 3"),
        ({"fun": lambda x: x}, ValueError, r"fun must return one number, not array\(\[1., 2.\]\) \(with jac=True"),
        ({"fun": lambda x: "1"}, TypeError, "fun must return a real number, not '1'"),
        ({"fun": lambda x: 1j}, TypeError, "fun must return a real number, not 1j"),
        ({"fun": lambda x: None}, TypeError, "fun must return a real number, not None"),
        ({"fun": lambda x: x @ x, "jac": True}, TypeError, r"fun must return \(value, gradient\) with jac=True, not"),
        ({"jac": lambda x: [1.0]}, ValueError, r"jac must give 2 real numbers, one for each element of x, .*\(1,\)"),
        ({"jac": lambda x: [1j, 1]}, TypeError, "jac must give 2 real numbers.* dtype complex128"),
        ({"jac": lambda x: None}, TypeError, "jac must give 2 real numbers.* dtype object"),
        ({"x0": [[1.0, 2.0]]}, ValueError, r"'x0' must only have one dimension, not shape \(1, 2\): pass x0.ravel"),
        ({"x0": [1j, 2]}, TypeError, "x0 must be real numbers, not an array of dtype complex128"),
        ({"callback": 3}, TypeError, r"callback must be callable, as callback\(xk\) or .*, not int"),
        ({"maxiter": -1}, ValueError, "maxiter must be a whole number of at least 0, not -1"),
        ({"maxiter": 2.5}, TypeError, "maxiter must be a whole number"),
        ({"gtol": -1.0}, ValueError, "gtol must be finite and at least 0, not -1.0"),
        ({"tol": "a"}, TypeError, "tol must be a number, not 'a'"),
        ({"ftol": np.nan}, ValueError, "ftol must be finite and at least 0, not nan"),
        ({"xtol": np.inf}, ValueError, "xtol must be finite and at least 0, not inf"),
        (
            {"finite_diff": "central"},
            ValueError,
            "finite_diff must be one of '2-point', '3-point', 'cs', not 'central'",
        ),
        ({"eps": 0}, ValueError, "eps must be finite and not 0, one number or one for each of x0, not 0"),
        ({"finite_diff_rel_step": "a"}, ValueError, "finite_diff_rel_step must be finite and not 0"),
        (
            {"eps": [1e-8] * 3, "jac": None},
            ValueError,
            "eps must be one number or 2, one for each of x0, not of shape .3,.",
        ),
        ({"learning_rate": -1}, ValueError, "learning_rate must be finite and at least 0, not -1"),
        ({"momentum": 1}, ValueError, "momentum must be below 1"),
    ],
)
def test_what_is_refused(given, error, said):
    calls = []

    def counted(x):
        calls.append(x)
        return x @ x

    arguments = {"fun": counted, "x0": [1.0, 2.0], "jac": lambda x: 2 * x, **given}
    with pytest.raises(error, match=said):
        adagrad(**arguments)
    assert "jac" in given or not calls


def test_an_option_that_has_the_name_of_a_hyperparameter(own_sign, monkeypatch):
    from dataclasses import dataclass

    @dataclass(frozen=True, kw_only=True)
    class Hyperparameters:
        gtol: float = 0.5

    monkeypatch.setattr(own_sign, "Hyperparameters", Hyperparameters)
    monkeypatch.setattr(own_sign, "scalar_values", lambda hyper, a, t: ())
    fa.register(own_sign)
    with pytest.raises(
        ValueError, match="'minimizer_sign' has a hyperparameter 'gtol', which is an option of minimize"
    ):
        fastadagrad.scipy.minimizer_sign(bowls.value, bowls.START)


def test_a_schedule_and_a_seed():
    def rate(t):
        return 0.5 / (1 + t)

    options = {"learning_rate": rate, "maxiter": 3}
    result = optimize.minimize(bowls.both, bowls.START, jac=True, method=adagrad, options=options)
    x = bowls.START.copy()
    opt = fa.ADAGRAD(params=x, learning_rate=rate)
    for _ in range(3):
        opt.step(bowls.slope(x))
    assert result.x.tolist() == x.tolist()
    assert result.message.endswith("choose a larger maxiter, or another learning_rate than this schedule.")
    seeded = [
        fastadagrad.scipy.esgd(
            bowls.both, bowls.START, jac=True, hessp=bowls.product, maxiter=2, hv_rng=seed
        ).x.tolist()
        for seed in (1, 1, 2)
    ]
    assert seeded[0] == seeded[1] != seeded[2]


def test_without_scipy(monkeypatch):
    """The package and its door are imported without it, and what needs it says what to install."""
    program = (
        "import sys; sys.modules['scipy'] = None; import fastadagrad as fa; import fastadagrad.scipy\n"
        "assert fa.scipy.adagrad.__name__ == 'adagrad' and 'method' in fa.scipy.__all__ and 'scipy' not in fa.__all__\n"
        "try: fa.scipy.adagrad(abs, [1.0])\n"
        "except RuntimeError as error: print(error)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == 'fastadagrad.scipy.adagrad needs scipy: pip install "fastadagrad[scipy]"\n'
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.delitem(sys.modules, "scipy.optimize")
    with pytest.raises(
        RuntimeError, match=r'^fastadagrad.scipy.adagrad needs scipy: pip install "fastadagrad\[scipy\]"$'
    ):
        adagrad(bowls.value, bowls.START)


def test_a_callback_whose_signature_python_cannot_tell():
    class Untold:
        seen = 0

        @property
        def __signature__(self):
            raise ValueError("no signature")

        def __call__(self, xk):
            Untold.seen += 1

    adagrad(bowls.both, bowls.START, jac=True, callback=Untold(), maxiter=2)
    assert Untold.seen == 2
    assert builtins.callable(Untold())
