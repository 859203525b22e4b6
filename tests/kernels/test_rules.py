"""What single methods do that others do not."""

import numpy as np
import pytest
from family import oracle_of
from oracle import bits_differ
from sparse import sparse_step

import fastadagrad as fa
from fastadagrad.host.bucket import Bucket
from fastadagrad.host.row_unit import RowUnit

F4 = np.float32


@pytest.mark.parametrize(
    ("name", "hyper", "change"),
    [
        ("AdaGradDA", {"learning_rate": 0.5}, {"learning_rate": 0.01}),
        ("FTRL", {"learning_rate": 0.5}, {"ftrl_l1": 0.5}),
        ("COCOB", {"lr_decay": 0.1}, {"cocob_alpha": 1.0}),
    ],
)
def test_rows_are_placed_anew_after_a_change(name, hyper, change):
    """By lazy="exact" as by dense steps, though their own gradients are 0: of hyperparameters, and of the parameter."""
    p, q = np.zeros((5, 1)), np.zeros((5, 1))
    opt, other = getattr(fa, name)(params=p, **hyper), getattr(fa, name)(params=q, **hyper)

    def step(rows, values):
        indices, values = np.array(rows), np.array(values, float).reshape(-1, 1)
        dense = np.zeros_like(q)
        np.add.at(dense, indices, values)
        opt.step(fa.Rows(indices, values))
        other.step(dense)
        assert bits_differ(p, q) == 0

    step([0, 1], [1, -2])
    step([0, 2], [0.5, 1])
    before = p[1].copy()
    for each in (opt, other):
        each.hyper.update(**change)
    step([2], [1])
    assert p[1] != before
    assert isinstance(opt._session.engine.stepping.units[0], Bucket)
    step([0], [1])
    assert isinstance(opt._session.engine.stepping.units[0], RowUnit)
    for each in (opt, other):
        each.set_params(np.full((5, 1), 3.0))
    step([2], [1])
    assert (p < 3).all()


@pytest.mark.parametrize(
    ("hyper", "named"),
    [({"momentum": 0.9, "decoupled_weight_decay": 0.1}, 9), ({"l1": 0.05, "l2": 0.01}, 2)],
    ids=str,
)
def test_rows_of_sgd_are_caught_up(hyper, named):
    rng = np.random.default_rng(3)
    p = rng.standard_normal((20, 5))
    hyper = {"learning_rate": 0.1, **hyper}
    oracle, opt = oracle_of("SGD", p, **hyper), fa.SGD(params=p, **hyper)
    for _ in range(100):
        rows, _, dense = sparse_step(rng, p, n=named)
        opt.step(rows)
        oracle.step(dense)
    opt.flush()
    np.testing.assert_allclose(p, oracle.p, 1e-12, 1e-12 * np.abs(oracle.p).max())
    assert ((p == 0) == (oracle.p == 0)).all()
    assert (p == 0).any() == ("l1" in hyper)


@pytest.mark.parametrize("value", [False, True])
@pytest.mark.parametrize(("name", "key"), [("RMSProp", "centered"), ("Adam", "amsgrad")])
def test_the_form_is_chosen_before_the_first_step(name, key, value):
    opt = getattr(fa, name)(params=np.ones(2), **{key: not value})
    setattr(opt.hyper, key, value)
    fresh = getattr(fa, name)(params=np.ones(2), **{key: value})
    assert {*opt.state["param0"]} == {*fresh.state["param0"]}
    opt.step(np.ones(2))
    with pytest.raises(ValueError, match=r"mean_square.* so far, .*: choose the form of the method"):
        setattr(opt.hyper, key, not value)
    assert getattr(opt.hyper, key) == value


def test_a_learning_rate_to_divide_by():
    with pytest.raises(ValueError, match="learning_rate must be above 0 in float64, not 0: FTRL divides by it"):
        fa.FTRL(params=np.zeros(2), learning_rate=0)
    p = np.zeros(2)
    opt = fa.FTRL(params=p, learning_rate=lambda t: 1.0 - t)
    opt.step(np.ones(2))
    before = p.copy()
    with pytest.raises(ValueError, match="learning_rate must be above 0"):
        opt.step(np.ones(2))
    assert bits_differ(p, before) == 0


@pytest.mark.parametrize(("name", "hyper"), [("RMSProp", {"l1": 0.1}), ("RMSProp", {"l2": 0.1})])
def test_nothing_is_penalised_where_the_denominator_is_0(name, hyper):
    """A variance of 0, of a mean of one gradient."""
    w = np.array([1.0])
    fa.RMSProp(params=w, rms_halflife=0, rms_regularizer=0, **hyper).step(np.array([2.0]))
    np.testing.assert_array_equal(w, 1)


def test_large_gradients_of_cocob():
    w = np.array([1.0], F4)
    opt = fa.COCOB(params=w)
    opt.step(np.array([1e19], F4))
    assert 0.9 < w[0] < 1


@pytest.mark.parametrize(
    ("name", "hyper", "message"),
    [
        ("ADADELTA", {"rms_regularizer": 0}, "rms_regularizer must be above 0: steps begin from it"),
        ("RProp", {"rprop_increase": 0.5}, "rprop_increase at least 1"),
        ("RProp", {"rprop_decrease": 2}, "rprop_decrease must be at most 1"),
        ("RProp", {"rprop_min_step": 5, "rprop_max_step": 1}, "rprop_min_step must be at most rprop_max_step"),
        ("FTRL", {"learning_rate": 1e-50}, "learning_rate must be above 0 in float32, not 1e-50: FTRL divides by it"),
        ("FTRL", {"ftrl_l1": 1e300}, r"threshold is 1e\+300 in FTRL .* use smaller numbers, or float64"),
        ("DoG", {"initial_distance": 0}, "initial_distance must be above 0"),
        ("DAdaptAdaGrad", {"initial_distance": 0}, "initial_distance must be above 0"),
    ],
)
def test_hyperparameters_without_sense(name, hyper, message):
    with pytest.raises(ValueError, match=message):
        getattr(fa, name)(params=np.zeros(2, F4), **hyper)


def test_what_the_state_was_made_by_changes_with_the_next_reset():
    opt = fa.RProp(params=np.ones(2))
    opt.hyper.learning_rate = 0.5
    opt.step(np.ones(2))
    opt.hyper.learning_rate = 0.25
    opt.step(np.zeros(2))
    np.testing.assert_array_equal(opt.state["param0"]["step"], 0.5)
    opt.reset()
    opt.step(np.ones(2))
    np.testing.assert_array_equal(opt.state["param0"]["step"], 0.25)


@pytest.mark.parametrize("name", ["RDA", "AdaGradDA"])
def test_dual_averaging_minimises_what_it_is_defined_by(name):
    """<Z, x> + t*l1*|x| + |x - P|_H^2 / (2a), with H the root of t, or of the squares: no other x near has less."""
    rng, a, l1, e = np.random.default_rng(0), 0.3, 0.2, 1e-8
    start = rng.standard_normal(40)
    p, gradients = np.zeros(40), rng.standard_normal((6, 40))
    p[...] = start
    opt = getattr(fa, name)(params=p, learning_rate=a, rda_l1=l1)
    for t, g in enumerate(gradients, 1):
        opt.step(g)
        Z, squares = gradients[:t].sum(axis=0), np.square(gradients[:t]).sum(axis=0)
        H = np.sqrt(t) if name == "RDA" else np.sqrt(squares) + e

        def objective(x, Z=Z, t=t, H=H):
            return Z * x + t * l1 * np.abs(x - start) + H * np.square(x - start) / (2 * a)

        least = objective(p)
        for step in (-1e-3, 1e-3, -0.1, 0.1):
            assert (objective(p + step) > least).all()
    assert (p == start).any()
    assert (p != start).any()


def test_files_of_another_form(tmp_path):
    for name, key in (("Adam", "amsgrad"), ("RMSProp", "centered")):
        opt = getattr(fa, name)(params=np.ones(2), **{key: True})
        opt.save(tmp_path / "file")
        with pytest.raises(ValueError, match=r"has the slots .* no use for"):
            getattr(fa, name)(params=np.ones(2), **{key: False}).load(tmp_path / "file")


CHANGES = {
    "learning_rate": lambda opt: opt.hyper.update(learning_rate=0.1),
    "set_params": lambda opt: opt.set_params(np.full((2, 1), 7.0)),
}


@pytest.mark.parametrize("lazy", ["exact", "dense"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("name", ["FTRL", "AdaGradDA", "COCOB"])
def test_rows_of_a_method_that_places_parameters_after_a_change(name, change, lazy):
    """The next step places every row, as the dense step does, whichever rows the gradient names."""
    found = []
    for gradient in (fa.Rows(np.array([0]), np.ones((1, 1))), np.array([[1.0], [0.0]])):
        p = np.zeros((2, 1))
        opt = getattr(fa, name)(params=p, lazy=lazy)
        opt.step(np.ones((2, 1)))
        change(opt)
        opt.step(gradient)
        opt.flush()
        found.append(p.tolist())
    assert found[0] == found[1]
