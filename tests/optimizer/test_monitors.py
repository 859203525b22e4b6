"""Quantities that are watched."""

import logging
import math

import numpy as np
import pytest

import fastadagrad as fa
from fastadagrad.optimizer.monitors import WeightedMean


def loss(p, x):
    return 1.0, {"w": np.full(2, x.sum(), np.float32), "f": None}


def make(**kwargs):
    params = {"w": np.zeros(2, np.float32), "f": np.zeros(3)}
    return fa.ADAGRAD(loss, params, groups={"f": {"frozen": True}}, **kwargs)


@pytest.mark.parametrize("form", [dict, lambda d: list(d.items()), lambda d: iter(d.items())])
def test_monitors_and_gradients(form):
    opt = make(monitors=form({"sum": lambda p, x: x.sum(), "w": lambda p, x: p["w"][0]}), monitor_gradients=True)
    x = np.arange(4.0)
    expected = {"loss": 1.0, "sum": 3.0, "w": 0.0, "grad(w)": (1 + 1 + 25 + 25) / 2, "grad(f)": 0.0}
    assert opt.evaluate(fa.Dataset(x, batch_size=2)) == expected
    train, valid = opt.minimize(fa.Dataset(x, batch_size=2, shuffle=False), max_epochs=1, learning_rate=0)
    assert train == valid == expected
    assert list(train) == list(expected)


def test_the_squared_norm_does_not_overflow_in_float32():
    opt = make(monitor_gradients=True)
    assert opt.evaluate(np.array([1e20]))["grad(w)"] == pytest.approx(2e40, rel=1e-6)


@pytest.mark.parametrize(
    ("monitors", "error", "part"),
    [
        ([("a", abs, 1)], TypeError, "pairs"),
        ([abs], TypeError, "pairs"),
        ([(1, abs)], TypeError, "pairs"),
        ({"a": 1}, TypeError, "'a'"),
        ([("a", abs), ("a", abs)], ValueError, "'a'"),
        ({"loss": abs}, ValueError, "'loss'"),
        ({"grad(w)": abs}, ValueError, r"'grad\(w\)'"),
    ],
)
def test_refused(monitors, error, part):
    with pytest.raises(error, match=part):
        make(monitors=monitors, monitor_gradients=True)


@pytest.mark.parametrize("value", [np.ones(2), None, "high", [1, 2], np.zeros(0)])
def test_a_monitor_that_returns_no_number_is_named(value):
    opt = make(monitors={"odd one": lambda p, x: value})
    with pytest.raises(TypeError, match="'odd one'"):
        opt.evaluate(np.ones(2))


@pytest.mark.parametrize("value", [1, True, np.float32(1), np.ones(()), np.ones((1, 1)), [1.0]])
def test_single_numbers_of_all_kinds(value):
    assert make(monitors={"m": lambda p, x: value}).evaluate(np.ones(2))["m"] == 1.0


def test_weighted_mean():
    mean = WeightedMean()
    mean.add({"a": 1.0, "b": 2.0}, 3)
    resumed = WeightedMean(mean.sums, mean.weight)
    resumed.add({"a": 5.0, "b": math.nan}, 1)
    assert resumed.means()["a"] == 2.0
    assert math.isnan(resumed.means()["b"])
    assert mean.means() == {"a": 1.0, "b": 2.0}
    empty = WeightedMean()
    empty.add({"a": 1.0}, 0)
    assert math.isnan(empty.means()["a"])


def test_a_line_of_the_log_has_every_monitor(caplog):
    opt = fa.SGD(
        lambda w: (float(w @ w), 2 * w), np.ones(2), monitors={"first": lambda w: w[0]}, monitor_gradients=True
    )
    with caplog.at_level(logging.INFO, "fastadagrad"):
        opt.minimize(max_epochs=2, learning_rate=0.25, validate_every=1)
    assert [line for line in caplog.messages if "ended" not in line and "compil" not in line] == [
        "validation 0 loss=2 first=1 grad(param0)=8 *",
        "SGD 1 loss=2 first=1 grad(param0)=8",
        "validation 1 loss=0.5 first=0.5 grad(param0)=2 *",
        "SGD 2 loss=0.5 first=0.5 grad(param0)=2",
        "validation 2 loss=0.125 first=0.25 grad(param0)=0.5 *",
    ]
