"""Every method of the registry as one of `scipy.optimize.minimize`: its name, bits, bounds and docstring."""

import doctest
import inspect
import pickle

import bowls
import numpy as np
import pytest

import fastadagrad as fa
import fastadagrad.scipy
from fastadagrad.kernels.rules import trait
from fastadagrad.minimizers.choices import Choices, keywords_taken
from fastadagrad.optimizer.methods import METHODS
from fastadagrad.optimizer.second_order import SecondOrder

optimize = pytest.importorskip("scipy.optimize", reason="needs the extra scipy")

NAMES = [name for name, method in METHODS.items() if method.__module__ == "fastadagrad.optimizer.adaptive"]
EVERY = pytest.mark.parametrize("name", NAMES)
BOUNDS = [(None, 0.5), (-1.0, None), (-0.75, 0.25)]


def is_fed(name):
    return issubclass(METHODS[name], SecondOrder)


def minimized(name, steps, options=None, **given):
    """The iterates after each step, and the result."""
    xs = []
    if is_fed(name):
        given["hessp"], options = bowls.product, {"hv_rng": 5, **(options or {})}
    result = optimize.minimize(
        bowls.both,
        bowls.START,
        jac=True,
        method=getattr(fastadagrad.scipy, name),
        callback=xs.append,
        options={"maxiter": steps, "gtol": 0, **(options or {})},
        **given,
    )
    return xs, result


def stepped(name, steps, bounds=None, **hyper):
    """The same by the optimizer alone."""
    x, xs = bowls.START.copy(), []
    opt = fa.build(name, params=x, **({"hv_rng": 5} if is_fed(name) else {}), **hyper)
    for _ in range(steps):
        opt.step(bowls.slope(x), *([bowls.product(x, opt.draw_vectors())] if is_fed(name) else []))
        if bounds is not None:
            x[:] = np.clip(x, *bounds)
        xs.append(x.copy())
    return xs


def assert_same_bits(xs, others):
    assert [x.tobytes() for x in xs] == [x.tobytes() for x in others]


def test_the_door_has_every_method():
    assert {"adagrad", "esgd", "dowg"} <= {*NAMES}
    assert [*fastadagrad.scipy.__all__] == ["method", *sorted(fastadagrad.scipy.__all__[1:])]
    assert {*fastadagrad.scipy.__all__} == {"method", *NAMES}
    assert {*METHODS} <= {*dir(fastadagrad.scipy)}


@EVERY
def test_by_name(name):
    minimizer = getattr(fa.scipy, name)
    assert minimizer is fastadagrad.scipy.method(name.upper())
    assert minimizer is pickle.loads(pickle.dumps(minimizer))
    assert (minimizer.__name__, minimizer.__module__) == (name, "fastadagrad.scipy")


@EVERY
def test_iterates_have_the_bits_of_steps(name):
    xs, result = minimized(name, 12)
    assert_same_bits(xs, stepped(name, 12))
    assert result.x.tobytes() == xs[-1].tobytes()
    assert (result.nit, result.nfev, result.njev, result.status) == (12, 13, 13, 1)
    assert (result.fun, result.jac.tolist()) == (bowls.value(result.x), bowls.slope(result.x).tolist())
    assert result.get("nhev") == (12 if is_fed(name) else None)


@EVERY
def test_every_hyperparameter_is_an_option(name):
    """Each with its default at once, which changes nothing, and the rate and the method's own with others."""
    rule = METHODS[name].rule
    taken = {each.name: each.default for each in keywords_taken(rule, False)}
    assert {"learning_rate", "max_global_norm", "threads", *vars(rule.Hyperparameters())} <= {*taken}
    assert_same_bits(minimized(name, 3, taken)[0], stepped(name, 3))
    others = {"max_gradient_elem": 0.5}
    if "learning_rate" not in trait(rule, "fixed"):
        others["learning_rate"] = 0.125
    for key, default in vars(rule.Hyperparameters()).items():
        if isinstance(default, float):
            others[key] = default / 2 if key == "rprop_decrease" else default * 1.25 + 0.125
    assert_same_bits(minimized(name, 3, others)[0], stepped(name, 3, **others))


@EVERY
def test_bounds_hold_at_every_iterate(name):
    """It is the step of the optimizer, and then the nearest point within the bounds."""
    lower, upper = np.array([-np.inf, -1.0, -0.75]), np.array([0.5, np.inf, 0.25])
    hyper = {} if "learning_rate" in trait(METHODS[name].rule, "fixed") else {"learning_rate": 0.5}
    expected = stepped(name, 25, (lower, upper), **hyper)
    assert all(((lower <= x) & (x <= upper)).all() for x in expected)
    for bounds in (BOUNDS, optimize.Bounds(lower, upper)):
        xs, result = minimized(name, 25, hyper, bounds=bounds)
        assert_same_bits(xs, expected[: len(xs)])
        assert result.nit == len(xs)
        assert result.fun < bowls.value(bowls.START)


@EVERY
def test_signature_and_docstring(name):
    minimizer = getattr(fastadagrad.scipy, name)
    parameters = inspect.signature(minimizer).parameters
    for key, default in {"x0": inspect.Parameter.empty, **vars(Choices())}.items():
        assert parameters[key].default == default
    for each in keywords_taken(METHODS[name].rule, is_fed(name)):
        assert parameters[each.name].default == each.default
    assert ("hv_rng" in parameters) == is_fed(name)
    test = doctest.DocTestParser().get_doctest(minimizer.__doc__, {}, name, None, 0)
    assert len(test.examples) == 4
    assert doctest.DocTestRunner().run(test).failed == 0


def test_a_rule_of_ones_own(own_sign):
    """By its name, as soon as it is registered; again after it has been registered anew."""
    result = optimize.minimize(
        bowls.both,
        bowls.START,
        jac=True,
        method=fastadagrad.scipy.minimizer_sign,
        options={"learning_rate": 0.25, "maxiter": 1},
    )
    assert result.x.tolist() == (bowls.START - 0.25 * np.sign(bowls.slope(bowls.START))).tolist()
    before = fastadagrad.scipy.minimizer_sign
    fa.register(own_sign)
    assert fastadagrad.scipy.minimizer_sign is fastadagrad.scipy.method("minimizer_sign") is not before
    assert "minimizer_sign" in dir(fastadagrad.scipy)


def test_names_that_there_are_not():
    with pytest.raises(AttributeError, match="has no attribute 'adagard': did you mean 'adagrad'"):
        fastadagrad.scipy.adagard  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'adamw': it is 'adam' with decoupled_weight_decay="):
        fastadagrad.scipy.adamw  # noqa: B018
    with pytest.raises(AttributeError, match=r"has no attribute '__path__'$"):
        fastadagrad.scipy.__path__  # noqa: B018
    with pytest.raises(ValueError, match="there is no method 'adagard': did you mean 'adagrad'"):
        fastadagrad.scipy.method("adagard")
