"""Hyperparameters: what is refused, what is suggested, and how they change."""

import copy
import math
import re
from decimal import Decimal

import numpy as np
import pytest

import fastadagrad as fa
from fastadagrad.adaptive import ADAGRAD


def make(**hyper):
    return fa.ADAGRAD(params={"w": np.zeros((2, 2), np.float32), "b": np.zeros(2)}, **hyper)


def test_defaults_are_downhills():
    hyper = make().hyper
    expected = {
        "learning_rate": 1e-4,
        "rms_regularizer": 1e-8,
        "momentum": 0,
        "nesterov": False,
        "max_gradient_elem": 0,
        "max_gradient_norm": 0,
        "patience": 5,
        "validate_every": 10,
        "min_improvement": 0,
    }
    assert {name: hyper[name] for name in expected} == expected
    assert fa.adaptive.ADAGRAD is ADAGRAD is fa.ADAGRAD


REFUSED = [
    ("learning_rate", -1e-4, ValueError),
    ("learning_rate", math.nan, ValueError),
    ("learning_rate", math.inf, ValueError),
    ("learning_rate", 10**400, ValueError),
    ("learning_rate", 1e300, ValueError),  # float32 cannot hold it
    ("learning_rate", "0.1", TypeError),
    ("learning_rate", None, TypeError),
    ("learning_rate", True, TypeError),
    ("learning_rate", np.True_, TypeError),
    ("learning_rate", [0.1], TypeError),
    ("learning_rate", np.ones(1), TypeError),
    ("learning_rate", 1j, TypeError),
    ("initial_accumulator_value", 1e39, ValueError),
    ("rms_regularizer", -1, ValueError),
    ("momentum", 1.0, ValueError),
    ("momentum", -0.1, ValueError),
    ("nesterov", "yes", TypeError),
    ("nesterov", 2, TypeError),
    ("epsilon_inside", None, TypeError),
    ("accumulator", "rows", ValueError),
    ("accumulator", None, ValueError),
    ("accumulator", ["row"], ValueError),
    ("nonfinite", "warn", ValueError),
    ("threads", 0, ValueError),
    ("threads", 1.5, TypeError),
    ("patience", -1, ValueError),
    ("patience", 1.5, TypeError),
    ("patience", 3.0, TypeError),
    ("patience", math.inf, TypeError),
    ("validate_every", 0, ValueError),
    ("lr_decay", -1, ValueError),
    ("l1", -1, ValueError),
    ("max_gradient_norm", -1, ValueError),
    ("groups", [("b", {})], TypeError),
    ("groups", {"b": 0.1}, TypeError),
    ("groups", None, TypeError),
    ("groups", {"c": {}}, TypeError),
    ("groups", {"b": {"patience": 3}}, TypeError),
]


@pytest.mark.parametrize(("name", "value", "error"), REFUSED)
def test_refused_everywhere_and_nothing_changed(name, value, error):
    with pytest.raises(error, match=name):
        make(**{name: value})
    opt = make(momentum=0.5)
    before, states = dict(opt.hyper), {n: list(slots) for n, slots in opt.state.items()}
    other = "l2" if name == "patience" else "patience"
    for change in (
        lambda: setattr(opt.hyper, name, value),
        lambda: opt.hyper.update(**{other: 0, name: value}),
        lambda: opt.get_updates(**{name: value}),
    ):
        with pytest.raises(error, match=name):
            change()
        assert dict(opt.hyper) == before
        assert {n: list(slots) for n, slots in opt.state.items()} == states
    if name not in ("groups", "threads", "patience", "validate_every", "nonfinite"):
        with pytest.raises(error, match=rf"groups\['b'\].*{name}" if value not in (1e300, 1e39) else name):
            make(groups={"b": {name: value}, "w": {name: value}})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", np.float32(0.5)),
        ("learning_rate", np.array(0.5)),
        ("learning_rate", Decimal("0.5")),
        ("learning_rate", 0),
        ("nesterov", np.True_),
        ("nesterov", 1),
        ("threads", None),
        ("threads", np.int64(1)),
        ("patience", np.int8(3)),
        ("rms_regularizer", 0),
    ],
)
def test_accepted(name, value):
    opt = make(**{name: value})
    opt.step({"w": np.ones((2, 2), np.float32), "b": np.ones(2)})
    setattr(opt.hyper, name, value)
    assert opt.hyper[name] == value


@pytest.mark.parametrize(
    ("hyper", "part"),
    [
        ({"l1": 0.1, "momentum": 0.9}, "momentum"),
        ({"l2": 0.1, "momentum": 0.9}, "velocity"),
        ({"groups": {"b": {"l1": 0.1, "momentum": 0.9}}}, r"groups\['b'\]"),
        ({"max_global_norm": 1.0, "max_gradient_elem": 1.0}, "max_global_norm"),
        ({"max_global_norm": 1.0, "max_gradient_norm": 1.0}, "max_global_norm"),
        ({"max_global_norm": 1.0, "groups": {"b": {"max_gradient_norm": 1.0}}}, "max_global_norm"),
    ],
)
def test_what_cannot_be_combined(hyper, part):
    with pytest.raises(ValueError, match=part):
        make(**hyper)


def test_rows_of_a_number_are_refused():
    with pytest.raises(ValueError, match="'param0' is 0-dimensional"):
        fa.ADAGRAD(params=np.zeros(()), accumulator="row")


MISSPELT = [
    ("learnin_rate", "learning_rate"),
    ("lr", "learning_rate"),
    ("epsilon", "rms_regularizer"),
    ("beta1_decay", None),
    ("Momentum", "momentum"),
    ("rms_regulariser", "rms_regularizer"),
    ("max_gradient_norms", "max_gradient_norm"),
    ("group", "groups"),
]


@pytest.mark.parametrize(("name", "meant"), MISSPELT)
def test_misspelt(name, meant):
    part = f"{name!r}.*did you mean {meant!r}" if meant else f"{name!r}.*learning_rate"

    def loss(p):
        return 0.0, None

    calls = [
        lambda: make(**{name: 1}),
        lambda: fa.ADAGRAD(loss, np.zeros(1)).iterate(**{name: 1}),
        lambda: fa.ADAGRAD(loss, np.zeros(1)).minimize(**{name: 1}),
        lambda: make().hyper.update(**{name: 1}),
        lambda: setattr(make().hyper, name, 1),
        lambda: make().get_updates(**{name: 1}),
        lambda: fa.build("adagrad", params=np.zeros(1), **{name: 1}),
        lambda: fa.minimize(loss, params=np.zeros(1), **{name: 1}),
    ]
    if name != "group":
        calls.append(lambda: make(groups={"b": {name: 1}}))
    for call in calls:
        with pytest.raises(TypeError, match=part):
            call()


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (lambda: make(monitor={}), "'monitors'"),
        (lambda: make(gradients=True), "'gradient'"),
        (lambda: fa.ADAGRAD(abs, np.zeros(1)).iterate(max_update=3), "'max_updates'"),
        (lambda: fa.ADAGRAD(abs, np.zeros(1)).iterate(batchsize=3), "'batch_size'"),
        (lambda: fa.minimize(abs, params=np.zeros(1), batchsize=3), "'batch_size'"),
        (lambda: fa.minimize(abs, params=np.zeros(1), monitor=3), "'monitors'"),
        (lambda: make(groups={"B": {}}), "'b'"),
    ],
)
def test_misspelt_arguments(call, part):
    with pytest.raises(TypeError, match=f"did you mean {part}"):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make(max_epochs=3), "ADAGRAD got an unexpected keyword 'max_epochs': iterate and minimize take it"),
        (lambda: fa.build("sgd", params=np.zeros(1), batch_size=3), "iterate and minimize take it"),
        (lambda: fa.ADAGRAD(abs, np.zeros(1)).iterate(monitors={}), "'monitors': it is given when the optimizer is m"),
    ],
)
def test_an_argument_in_the_wrong_place(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_misspelt_reading():
    with pytest.raises(AttributeError, match="learnin_rate"):
        _ = make().hyper.learnin_rate
    with pytest.raises(KeyError):
        make().hyper["learnin_rate"]


def test_the_view_is_live_and_a_mapping():
    opt = make(learning_rate=0.5)
    hyper = opt.hyper
    hyper.learning_rate = 0.25
    hyper["momentum"] = 0.5
    hyper.update(patience=2, l2=0)
    assert (hyper.learning_rate, opt.hyper.momentum, hyper["patience"]) == (0.25, 0.5, 2)
    assert dict(make(**hyper).hyper) == dict(hyper)
    assert "learning_rate=0.25" in repr(hyper)
    assert len(hyper) == len(list(hyper))
    assert copy.copy(hyper).momentum == 0.5


def test_groups():
    params = {"a": np.zeros(1), "b": np.zeros(1), "c": np.zeros(1)}
    groups = {"a": {"learning_rate": 0.5}, "c": {"frozen": True}}
    opt = fa.ADAGRAD(params=params, learning_rate=0.25, groups=groups)
    opt.step({name: np.ones(1) for name in params})
    assert [p[0].round(6) for p in params.values()] == [-0.5, -0.25, 0]
    opt.hyper.learning_rate = 0.0
    opt.step({name: np.ones(1) for name in params})
    assert params["a"][0] < -0.8
    assert params["b"][0].round(6) == -0.25


def test_threads_are_at_most_those_there_are():
    w = np.zeros(300_000)
    fa.ADAGRAD(params=w, threads=10_000, learning_rate=1.0).step(np.ones(300_000))
    assert (w.round(6) == -1).all()


def test_what_shapes_the_state_before_and_after_the_first_step():
    opt = fa.ADAGRAD(params=np.zeros((2, 3)))
    opt.hyper.update(accumulator="row", initial_accumulator_value=0.5)
    assert opt.state["param0"]["accumulator"].tolist() == [0.5, 0.5]
    opt.hyper.initial_accumulator_value = 0.25
    opt.step(np.ones((2, 3)))
    assert opt.state["param0"]["accumulator"].tolist() == [1.25, 1.25]
    with pytest.raises(ValueError, match="accumulator='element'"):
        opt.hyper.accumulator = "element"
    opt.hyper.initial_accumulator_value = 0.125  # from the next reset on
    assert opt.state["param0"]["accumulator"].tolist() == [1.25, 1.25]
    opt.reset()
    assert opt.state["param0"]["accumulator"].tolist() == [0.125, 0.125]
    opt.hyper.accumulator = "element"
    assert opt.state["param0"]["accumulator"].shape == (2, 3)


class TestAttributes:
    """Hyperparameters are not attributes of the optimizer, which would not go by them."""

    @pytest.mark.parametrize("method", [fa.ADAGRAD, fa.SGD, fa.Adam])
    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("learning_rate", "learning_rate"),
            ("momentum", "momentum"),
            ("patience", "patience"),
            ("groups", "groups"),
            ("lr", "learning_rate"),
            ("learnin_rate", "learning_rate"),
            ("learningRate", "learning_rate"),
            ("weight_deacy", "weight_decay"),
        ],
    )
    def test_setting_one_is_refused(self, method, name, meant):
        opt = method(params=np.zeros(1), learning_rate=0.5)
        with pytest.raises(AttributeError, match=rf"opt\.hyper\.{meant}\b"):
            setattr(opt, name, 1.0)
        assert opt.hyper.learning_rate == 0.5
        assert not hasattr(opt, name)

    def test_reading_one_tells_where_it_is(self):
        opt = make()
        for name in ("learning_rate", "rms_regularizer", "nonfinite"):
            with pytest.raises(AttributeError, match=rf"opt\.hyper\.{name}\b"):
                getattr(opt, name)
            assert not hasattr(opt, name)
            assert name not in dir(opt)
        assert "step" in dir(opt)

    def test_the_view_of_all_of_them_is_not_replaced(self):
        opt = fa.ADAGRAD(params=np.zeros(2))
        with pytest.raises(AttributeError, match=r"hyper cannot be replaced: .*opt\.hyper\.update\("):
            opt.hyper = {"learning_rate": 0.1}
        assert opt.hyper.learning_rate == 1e-4

    @pytest.mark.parametrize(
        ("name", "place"),
        [
            ("batch_size", "it is opt.iterate(..., batch_size=...)"),
            ("train_batches", "it is opt.iterate(..., train_batches=...)"),
            ("max_epochs", "it is opt.iterate(..., max_epochs=...)"),
            ("rng", "it is opt.iterate(..., rng=...)"),
            ("progress", "it is opt.iterate(..., progress=...)"),
            ("valid", "it is opt.iterate(..., valid=...)"),
            ("monitors", "it is ADAGRAD(..., monitors=...)"),
            ("gradient", "it is ADAGRAD(..., gradient=...)"),
            ("loss", "it is ADAGRAD(..., loss=...)"),
            ("iteration_size", "it is fastadagrad.Dataset(..., iteration_size=...)"),
            ("shuffle", "it is fastadagrad.Dataset(..., shuffle=...)"),
            ("batchsize", "did you mean opt.iterate(..., batch_size=...)?"),
            ("epochs", "did you mean opt.iterate(..., max_epochs=...)?"),
            ("seed", "did you mean opt.iterate(..., rng=...)?"),
        ],
    )
    def test_other_keywords_are_refused_too(self, name, place):
        opt = fa.ADAGRAD(params=np.zeros(1))
        with pytest.raises(AttributeError, match=re.escape(f"ADAGRAD has no attribute {name!r} to be set, as nothing")):
            setattr(opt, name, 64)
        with pytest.raises(AttributeError, match=re.escape(place)):
            setattr(opt, name, 64)
        assert not hasattr(opt, name)
        assert name not in dir(opt)

    def test_of_a_method_with_other_arguments(self):
        opt = fa.ESGD(params=np.zeros(1))
        with pytest.raises(AttributeError, match=r"it is ESGD\(\.\.\., hv_rng=\.\.\.\)"):
            opt.hv_rng = 3
        with pytest.raises(TypeError, match=r"hv must be a callable .*, not 3"):
            opt.hv = 3
        assert opt.hv is None
        opt.hv = "differences"
        assert opt.hv == "differences"

    def test_those_of_other_methods_are_no_business_of_this_one(self):
        opt = make()
        opt.beta1_halflife = 3
        assert opt.beta1_halflife == 3

    def test_attributes_of_a_users_own(self):
        class Counting(fa.ADAGRAD):
            patience = 7

            def __init__(self, *args, **kwargs):
                self.name = "mine"
                super().__init__(*args, **kwargs)
                self.calls, self.rate_of_success, self.patience = 0, 0.5, 8

            def step(self, gradients=None):
                self.calls += 1
                super().step(gradients)

        opt = Counting(params=np.zeros(1), patience=2)
        opt.step(np.ones(1))
        assert (opt.name, opt.calls, opt.patience, opt.hyper.patience, opt.steps) == ("mine", 1, 8, 2, 1)
        with pytest.raises(AttributeError, match=r"opt\.hyper\.momentum"):
            opt.momentum = 0.5

    def test_of_a_rule_that_was_registered(self):
        method = fa.build("ftrl", params=np.zeros(1))
        with pytest.raises(AttributeError, match=r"opt\.hyper\.ftrl_beta"):
            method.ftrl_beta = 2.0
