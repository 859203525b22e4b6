"""What users of torch.optim expect: rows of the table in docs/conventions.md. torch itself is in `test_peers`."""

import copy
import math

import numpy as np
import pytest
from conventions import rows, table

import fastadagrad as fa

ROWS, row = rows()
G = np.array([0.5, -2.0])


@row(
    "`Adagrad(params, lr=0.01, eps=1e-10)`",
    '`fa.ADAGRAD(params=params, **fa.like("torch"))`; its own defaults are others, and `lr` and `eps` are refused with '
    "our names",
)
def test_made():
    assert fa.like("torch") == {"learning_rate": 0.01, "rms_regularizer": 1e-10}
    for theirs, ours in (("lr", "learning_rate"), ("eps", "rms_regularizer")):
        with pytest.raises(TypeError, match=f"unexpected keyword '{theirs}': did you mean '{ours}'"):
            fa.ADAGRAD(params=np.ones(2), **{theirs: 0.1})


@row(
    "`loss.backward()` leaves gradients in `p.grad`, and `opt.step()` reads them",
    "`opt.step(gradients)`; or fill the arrays in `opt.gradients`, then `opt.step()`",
)
def test_step():
    given, filled = (fa.ADAGRAD(params=np.ones(2), learning_rate=0.1) for _ in range(2))
    given.step(G)
    filled.gradients[...] = G
    filled.step()
    np.testing.assert_array_equal(given.params["param0"], filled.params["param0"])


@row(
    "`opt.zero_grad()` before each backward pass, as gradients add up",
    "nothing is to be done: a step takes the gradients that it is given, and keeps none",
)
def test_zero_grad():
    w = np.ones(2)
    opt = fa.SGD(params=w, learning_rate=1.0)
    opt.step(G)
    opt.step(np.zeros(2))
    np.testing.assert_array_equal(w, 1 - G)


@row(
    "parameters are changed in place",
    "the same: the arrays that are given are the parameters, and they stay where they are in memory",
)
def test_in_place():
    w = np.ones(2)
    opt = fa.ADAGRAD(params=w)
    opt.step(G)
    assert opt.params["param0"].ctypes.data == w.ctypes.data
    assert not np.array_equal(w, np.ones(2))


@row(
    "parameter groups have their own `lr`, `weight_decay`, ...",
    '`groups={"name": {...}}`: a dict of options for each parameter that has others',
)
def test_groups():
    w, b = np.ones(2), np.ones(1)
    opt = fa.SGD(params={"w": w, "b": b}, learning_rate=1.0, groups={"b": {"learning_rate": 0.0}})
    opt.step({"w": G, "b": np.ones(1)})
    np.testing.assert_array_equal(w, 1 - G)
    np.testing.assert_array_equal(b, [1.0])


@row(
    '`group["lr"] = x` in a loop, or a scheduler that does so',
    "`opt.hyper.learning_rate = x`, or a callable of the number of the step as `learning_rate`",
)
def test_schedules():
    w, v = np.ones(2), np.ones(2)
    scheduled = fa.SGD(params=w, learning_rate=lambda t: 1 / (1 + t))
    by_hand = fa.SGD(params=v)
    for t in range(3):
        by_hand.hyper.learning_rate = 1 / (1 + t)
        by_hand.step(G)
        scheduled.step(G)
    np.testing.assert_array_equal(w, v)


@row(
    "`weight_decay` adds w*p to the gradient, and AdamW shrinks p itself",
    "`weight_decay`, and `decoupled_weight_decay` of every method",
)
def test_decay():
    coupled, decoupled = np.ones(2), np.ones(2)
    fa.SGD(params=coupled, learning_rate=0.1, weight_decay=0.5).step(np.zeros(2))
    fa.ADAGRAD(params=decoupled, learning_rate=0.1, decoupled_weight_decay=0.5).step(np.zeros(2))
    np.testing.assert_array_equal(coupled, [0.95, 0.95])
    np.testing.assert_array_equal(decoupled, [0.95, 0.95])


@row(
    "`clip_grad_norm_(params, c)`, `clip_grad_value_(params, c)` before the step",
    "`max_global_norm=c`, `max_gradient_elem=c`; `max_gradient_norm=c` is of each parameter by itself",
)
def test_clipping():
    w, v = np.zeros(2), np.zeros(2)
    fa.SGD(params=w, learning_rate=1.0, max_global_norm=1.0).step(G)
    fa.SGD(params=v, learning_rate=1.0, max_gradient_elem=1.0).step(G)
    np.testing.assert_allclose(w, -G / math.hypot(*G), rtol=1e-15)
    np.testing.assert_array_equal(v, [-0.5, 1.0])


@row(
    "`state_dict()`, `load_state_dict()`, `torch.save`",
    "`opt.save(file)`, `opt.load(file)`, with parameters, state and hyperparameters; pickle and `copy.deepcopy`",
)
def test_saving(tmp_path):
    opt, other = (fa.ADAGRAD(params=np.ones(2), learning_rate=0.1) for _ in range(2))
    opt.step(G)
    opt.save(tmp_path / "opt.npz")
    other.load(tmp_path / "opt.npz")
    copied = copy.deepcopy(opt)
    for each in (opt, other, copied):
        each.step(G)
    for each in (other, copied):
        np.testing.assert_array_equal(each.params["param0"], opt.params["param0"])


@row(
    "`opt.state[p]` has tensors by name",
    '`opt.state["name"]` has read-only arrays by the names of slots',
)
def test_state():
    opt = fa.ADAGRAD(params={"w": np.ones(2)})
    opt.step({"w": G})
    np.testing.assert_array_equal(opt.state["w"]["accumulator"], G * G)
    assert not opt.state["w"]["accumulator"].flags.writeable


@row(
    "`maximize=True`",
    "negate the gradients",
)
def test_maximize():
    w = np.zeros(2)
    fa.SGD(params=w, learning_rate=1.0).step(-G)
    np.testing.assert_array_equal(w, G)


@row(
    "`foreach` and `fused` choose how a step is made",
    "every step is fused, and all tensors are stepped in one call",
)
def test_fused():
    with pytest.raises(TypeError, match="unexpected keyword 'fused'"):
        fa.ADAGRAD(params=np.ones(2), fused=True)


@row(
    "sparse gradients of `Embedding(sparse=True)`",
    "`fa.Rows(indices, values)`, which may name a row twice; scipy.sparse matrices",
)
def test_sparse():
    table, dense = np.ones((4, 2)), np.ones((4, 2))
    fa.ADAGRAD(params=table, learning_rate=0.1).step(fa.Rows(np.array([1, 3, 1]), np.ones((3, 2))))
    fa.ADAGRAD(params=dense, learning_rate=0.1).step(np.array([[0, 0], [2, 2], [0, 0], [1, 1]], float))
    np.testing.assert_array_equal(table, dense)


@row(
    "a gradient of None is passed over; `requires_grad_(False)` freezes",
    'a gradient of None is an error; `groups={"name": {"frozen": True}}` freezes',
)
def test_frozen():
    w, b = np.ones(2), np.ones(1)
    opt = fa.SGD(params={"w": w, "b": b}, learning_rate=1.0, groups={"b": {"frozen": True}})
    opt.step({"w": G, "b": None})
    np.testing.assert_array_equal(b, [1.0])
    with pytest.raises(TypeError, match="gradient of 'w'"):
        opt.step({"w": None, "b": None})


@row(
    "NaN and infinity in a gradient go into the parameters",
    '`nonfinite="raise"` refuses the step and changes nothing; "skip" passes over it, "ignore" does as torch',
)
def test_nonfinite():
    bad = np.array([np.nan, 1.0])
    w, v, u = (np.ones(2) for _ in range(3))
    with pytest.raises(FloatingPointError, match="must be finite"):
        fa.SGD(params=w).step(bad)
    fa.SGD(params=v, nonfinite="skip").step(bad)
    fa.SGD(params=u, nonfinite="ignore").step(bad)
    np.testing.assert_array_equal(w, [1.0, 1.0])
    np.testing.assert_array_equal(v, [1.0, 1.0])
    assert np.isnan(u[0])


def test_the_table_has_these_rows():
    assert table("torch.optim") == [*ROWS.values()]
    assert len(ROWS) == sum(name.startswith("test_") for name in globals()) - 1
