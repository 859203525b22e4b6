"""What users of torch.optim write, beside what they write here: the table "Idioms" in docs/migrating/torch.md."""

import copy
import math

import numpy as np
import pytest
from conventions import rows
from pages import table

import fastadagrad as fa

ROWS, row = rows()
ONES = {"w": np.ones((3, 2)), "b": np.ones(2)}


def made(**hyper):
    return fa.ADAGRAD(params={"w": np.zeros((3, 2)), "b": np.zeros(2)}, **{"learning_rate": 0.1, **hyper})


def moved(opt, gradients=ONES):
    opt.step(gradients)
    return {name: p.tolist() for name, p in opt.params.items()}


@row("`optimizer.zero_grad()`", "nothing: gradients are not kept from step to step")
def test_zero_grad():
    opt = made()
    opt.step(ONES)
    opt.step({"w": np.zeros((3, 2)), "b": np.zeros(2)})
    assert opt.state["b"]["accumulator"].tolist() == [1, 1]


@row(
    "`loss.backward(); optimizer.step()`",
    "`opt.step(gradients)`, or `opt.minimize(data)` of a loss that returns its gradients",
)
def test_step():
    target = np.array([1.0, 2.0])
    stepped, trained = np.zeros(2), np.zeros(2)
    opt = fa.ADAGRAD(params=stepped, learning_rate=0.5, rms_regularizer=0)
    opt.step(2 * (stepped - target))

    def loss(p, batch):
        return np.square(p - batch[0]).sum(), 2 * (p - batch[0])

    fa.ADAGRAD(loss, trained, learning_rate=0.5, rms_regularizer=0).minimize([target[None]], max_updates=1)
    assert stepped.tolist() == trained.tolist() == [0.5, 0.5]


@row('`optimizer.param_groups[0]["lr"] = 0.1`', "`opt.hyper.learning_rate = 0.1`")
def test_rate():
    opt = made(learning_rate=1.0)
    opt.hyper.learning_rate = 0.1
    assert moved(opt) == moved(made(learning_rate=0.1))


@row('groups: `[{"params": [b], "lr": 0.01}]`', '`groups={"b": {"learning_rate": 0.01}}`')
def test_groups():
    after = moved(made(groups={"b": {"learning_rate": 0.01}}))
    assert (after["w"][0][0], after["b"][0]) == (pytest.approx(-0.1, rel=1e-7), pytest.approx(-0.01, rel=1e-7))


@row("`requires_grad_(False)`", '`groups={"b": {"frozen": True}}`; its gradient is not looked at')
def test_frozen():
    after = moved(made(groups={"b": {"frozen": True}}), {**ONES, "b": np.full(2, np.nan)})
    assert after["b"] == [0, 0]
    assert after["w"] == moved(made())["w"]


@row("`LambdaLR(optimizer, f)`, stepped after each step", "`learning_rate=lambda t: a * f(t)`")
def test_schedule():
    seen = []
    opt = made(learning_rate=lambda t: seen.append(t) or 0.1 * 0.5**t)
    opt.step(ONES)
    first = opt.params["b"].copy()
    opt.step(ONES)
    assert set(seen) == {0, 1}
    assert (opt.params["b"] - first).tolist() == pytest.approx([-0.05 / math.sqrt(2)] * 2, rel=1e-7)


@row("`clip_grad_value_(p, 5.0)`", "`max_gradient_elem=5.0`")
def test_clipped_by_element():
    large = {"w": np.full((3, 2), -7.0), "b": np.array([3.0, 9.0])}
    expected = moved(made(), {"w": np.full((3, 2), -5.0), "b": np.array([3.0, 5.0])})
    assert moved(made(max_gradient_elem=5.0), large) == expected


@row("`clip_grad_norm_(p, 5.0)`", "`max_global_norm=5.0`; torch divides by the norm + 1e-6")
def test_clipped_by_norm():
    large = {"w": np.full((3, 2), 2.0), "b": np.array([1.0, 5.0])}
    norm = math.sqrt(sum(np.square(g).sum() for g in large.values()))
    opt = made(max_global_norm=5.0)
    opt.step(large)
    ours = np.sqrt(opt.state["b"]["accumulator"])
    theirs = large["b"] * min(1, 5.0 / (norm + 1e-6))
    assert ours.tolist() == pytest.approx(theirs.tolist(), rel=1e-6)
    assert ours.tolist() == pytest.approx((large["b"] * (5.0 / norm)).tolist(), rel=1e-15)


@row("`Embedding(sparse=True)`", "`fa.Rows(indices, values)`; rows that are named twice add up, in both")
def test_rows():
    twice = fa.Rows(np.array([1, 1]), np.full((2, 2), 0.5))
    dense = np.zeros((3, 2))
    dense[1] = 1.0
    assert moved(made(), {"w": twice, "b": ONES["b"]}) == moved(made(), {"w": dense, "b": ONES["b"]})


@row('`optimizer.state[w]["sum"]`', '`opt.state["w"]["accumulator"]`')
def test_state():
    opt = made()
    opt.step({"w": np.full((3, 2), 2.0), "b": ONES["b"]})
    assert (opt.state["w"]["accumulator"] == 4).all()


@row(
    "`torch.save(optimizer.state_dict(), path)`",
    "`opt.save(path)`: parameters, state, counts and hyperparameters in one file without pickle",
)
def test_saved(tmp_path):
    opt, other = made(), made(learning_rate=0.7)
    opt.step(ONES)
    opt.save(tmp_path / "checkpoint")
    other.load(tmp_path / "checkpoint", hyper=True)
    assert (other.steps, other.hyper.learning_rate) == (1, 0.1)
    assert moved(other) == moved(opt)
    with np.load(tmp_path / "checkpoint", allow_pickle=False) as file:
        assert file.files


@row("`maximize=True`", "step with the negative gradients")
def test_maximize():
    assert moved(made(), {name: -g for name, g in ONES.items()})["b"][0] > 0


@row(
    "a gradient with NaN makes parameters NaN",
    'FloatingPointError, and nothing has changed; `nonfinite="ignore"` is torch\'s way',
)
def test_nan():
    bad = {"w": np.ones((3, 2)), "b": np.array([np.nan, 1.0])}
    opt = made()
    with pytest.raises(FloatingPointError, match="'b'"):
        opt.step(bad)
    assert not opt.params["w"].any()
    assert math.isnan(moved(made(nonfinite="ignore"), bad)["b"][0])


@row("`copy.deepcopy(optimizer)`", "`copy.deepcopy(opt)`, or `opt.twin()`")
def test_copied():
    opt = made()
    opt.step(ONES)
    copies = [copy.deepcopy(opt), opt.twin()]
    assert [moved(each) for each in copies] == [moved(opt)] * 2


@row("`fused=True`, `foreach=True`", "nothing to choose: a step is one fused pass")
def test_fused():
    for name in ("fused", "foreach"):
        with pytest.raises(TypeError, match=name):
            made(**{name: True})


def test_the_table_has_these_rows():
    assert table("migrating/torch.md", "Idioms") == list(ROWS.values())
