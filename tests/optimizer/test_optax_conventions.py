"""What users of optax expect: rows of the table in docs/conventions.md. optax itself is in `test_peers`."""

import numpy as np
import pytest
from conventions import rows, table

import fastadagrad as fa

ROWS, row = rows()
G = np.array([0.5, -2.0])


@row(
    "`tx = optax.adagrad(lr)`; `state = tx.init(params)`",
    '`opt = fa.ADAGRAD(params=params, **fa.like("optax"), learning_rate=lr)` has the parameters and the state',
)
def test_init():
    opt = fa.ADAGRAD(params={"w": np.ones(2)}, **fa.like("optax"), learning_rate=0.1)
    np.testing.assert_array_equal(opt.state["w"]["accumulator"], [0.1, 0.1])


@row(
    "`updates, state = tx.update(grads, state)`; `params = optax.apply_updates(params, updates)`",
    "`opt.step(grads)`, in place",
)
def test_update():
    w = np.ones(2)
    fa.ADAGRAD(params=w, **fa.like("optax"), learning_rate=0.1).step(G)
    np.testing.assert_allclose(w, 1 - 0.1 * G / np.sqrt(0.1 + G * G + 1e-7), rtol=1e-14)


@row(
    "pure functions: what was there before an update stays",
    "`opt.twin()` is another optimizer with its own parameters and state, from where this one stands",
)
def test_twin():
    opt = fa.ADAGRAD(params=np.ones(2), learning_rate=0.1)
    opt.step(G)
    twin = opt.twin()
    twin.step(G)
    assert not np.array_equal(twin.params["param0"], opt.params["param0"])
    opt.step(G)
    np.testing.assert_array_equal(twin.params["param0"], opt.params["param0"])


@row(
    "the epsilon of `adagrad` is within the root, and `initial_accumulator_value` is 0.1",
    '`fa.like("optax")` does the same; our default adds epsilon after the root, and the sum of squares begins with 0',
)
def test_epsilon():
    assert fa.like("optax") == {"rms_regularizer": 1e-7, "epsilon_inside": True, "initial_accumulator_value": 0.1}
    w = np.ones(1)
    fa.ADAGRAD(params=w, learning_rate=1.0, rms_regularizer=1.0).step(np.array([3.0]))
    np.testing.assert_array_equal(w, [1 - 3 / (3 + 1)])


@row(
    "`optax.chain(optax.clip_by_global_norm(c), tx)`, `optax.clip(c)`, `optax.add_decayed_weights(w)`",
    "options of every method: `max_global_norm=c`, `max_gradient_elem=c`, `weight_decay=w`; clipping comes first",
)
def test_chains():
    w = np.ones(2)
    fa.SGD(params=w, learning_rate=1.0, max_gradient_elem=1.0, weight_decay=0.5).step(G)
    np.testing.assert_array_equal(w, [1 - (0.5 + 0.5), 1 - (-1.0 + 0.5)])


@row(
    "parameters and gradients are pytrees",
    "trees of dicts, lists and tuples; the loss gets the tree, and names are the way to an array, as `layer1/W`",
)
def test_trees():
    tree = {"layer1": {"W": np.ones(2), "b": np.ones(1)}, "layers": [np.ones(1)]}
    opt = fa.SGD(params=tree, learning_rate=1.0)
    opt.step({"layer1": {"W": G, "b": np.zeros(1)}, "layers": [np.ones(1)]})
    assert [*opt.params] == ["layer1/W", "layer1/b", "layers/0"]
    np.testing.assert_array_equal(tree["layer1"]["W"], 1 - G)


@row(
    "a schedule is a function of the count of updates, from 0",
    "the same: `learning_rate=lambda t: ...`",
)
def test_schedules():
    asked, w = [], np.ones(2)
    opt = fa.SGD(params=w, learning_rate=lambda t: asked.append(t) or 0.5**t)
    for _ in range(3):
        opt.step(np.ones(2))
    np.testing.assert_array_equal(w, 1 - 1.75)
    assert asked[-1] == 2


@row(
    "`optax.inject_hyperparams` makes hyperparameters part of the state",
    "`opt.hyper` has them all; each may be set between steps, and files have them",
)
def test_hyperparameters(tmp_path):
    opt, other = (fa.ADAGRAD(params=np.ones(2)) for _ in range(2))
    opt.hyper.learning_rate = 0.5
    opt.save(tmp_path / "opt.npz")
    with pytest.warns(UserWarning, match="learning_rate"):
        other.load(tmp_path / "opt.npz")


@row(
    "`optax.multi_transform`, `optax.masked`, `optax.set_to_zero`",
    "`groups`: other options for some of the parameters, or `frozen`; one method an optimizer",
)
def test_groups():
    w, b = np.ones(2), np.ones(1)
    opt = fa.SGD(params={"w": w, "b": b}, learning_rate=1.0, groups={"b": {"learning_rate": 0.5}})
    opt.step({"w": G, "b": np.ones(1)})
    np.testing.assert_array_equal(b, [0.5])


@row(
    "`optax.apply_if_finite`",
    '`nonfinite="skip"`; by default a gradient that is not finite raises before anything is written',
)
def test_apply_if_finite():
    w = np.ones(2)
    opt = fa.ADAGRAD(params=w, nonfinite="skip")
    opt.step(np.array([np.inf, 1.0]))
    np.testing.assert_array_equal(w, [1.0, 1.0])
    assert opt.steps == 0


@row(
    "the names `b1`, `b2`, `eps`, `decay`",
    "half-lives of running means (`beta1_halflife`, `rms_halflife`), `rms_regularizer`",
)
def test_names():
    with pytest.raises(TypeError, match="beta1_halflife"):
        fa.Adam(params=np.ones(2), b1=0.9)
    with pytest.raises(TypeError, match="did you mean 'rms_regularizer'"):
        fa.Adam(params=np.ones(2), eps=1e-8)


def test_the_table_has_these_rows():
    assert table("optax") == [*ROWS.values()]
    assert len(ROWS) == sum(name.startswith("test_") for name in globals()) - 1
