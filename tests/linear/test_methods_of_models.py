"""Methods of linear models: which there are, what they take, what is refused, and files."""

import dataclasses
import typing
from collections import namedtuple

import numpy as np
import pytest
import scipy.sparse
from command_line import run
from linear_examples import classification, sparse

import fastadagrad as fa
from fastadagrad.engine.registry import METHODS, rule_named, rule_names
from fastadagrad.kernels.rules import COMMON, form_of, places, trait
from fastadagrad.linear import LinearModel
from fastadagrad.linear.methods import trainers
from fastadagrad.linear.typed_keywords import OwnHyper
from fastadagrad.support import array_file

X, Y = classification(n=120)
QUICK = ("adagrad", "ftrl", "adam")  # each takes seconds to compile
EVERY = pytest.mark.parametrize(
    "method", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in trainers()]
)


def form(method):
    rule = rule_named(method)
    return form_of(rule, rule.Hyperparameters())


WITHOUT_CLOSED_FORM = [name for name in trainers() if not (trait(form(name), "rests") or places(form(name)))]


def test_all_methods_train_that_go_by_gradients_alone():
    refused = {"dog", "dowg", "dadapt_adagrad", "esgd"}
    assert {*trainers()} == {*rule_names()} - refused
    assert {*rule_names()} >= {*METHODS}


def test_keywords_are_typed():
    expected = {}
    for method in trainers():
        expected |= typing.get_type_hints(rule_named(method).Hyperparameters)
    assert typing.get_type_hints(OwnHyper) == expected


@EVERY
def test_learns_saves_and_loads(method, tmp_path, capsys):
    own = {field.name: field.default for field in dataclasses.fields(rule_named(method).Hyperparameters)}
    changed = {name: not x if isinstance(x, bool) else x * 1.25 + 1e-3 for name, x in own.items()}
    changed |= {"rprop_decrease": 0.5} if method == "rprop" else {}
    lazy = {"lazy": "touched"} if method in WITHOUT_CLOSED_FORM else {}
    assert LinearModel(method=method.upper(), **own).method == method
    model = LinearModel(method=method, max_epochs=2, **changed, **lazy).fit(X, Y)
    assert repr(model).count("=") == 2 + len(changed) + len(lazy) + (method == "nag") - (method == "adagrad")
    untrained = LinearModel("logistic", learning_rate=0.0, max_epochs=1).fit(X, Y)
    assert model.evaluate(X, Y)["loss"] < untrained.evaluate(X, Y)["loss"]
    model.save(tmp_path / "model")
    loaded = LinearModel.load(tmp_path / "model")
    assert (repr(loaded), loaded.method) == (repr(model), method)
    np.testing.assert_array_equal(loaded.fit(X, Y).coef_, model.coef_)
    np.savez(tmp_path / "examples.npz", X=X, y=Y)
    flags = []
    for name, x in changed.items():
        flag = name.replace("_", "-")
        flags += [f"--{'' if x else 'no-'}{flag}"] if isinstance(x, bool) else [f"--{flag}", x]
    command = ["fit", tmp_path / "examples.npz", "--method", method, "--epochs", 2, "--model", tmp_path / "by command"]
    assert run(capsys, *command, *flags)[0] == 0
    np.testing.assert_array_equal(LinearModel.load(tmp_path / "by command").coef_, model.coef_)


def test_a_file_of_before_there_were_methods_is_of_adagrad(tmp_path):
    LinearModel(max_epochs=1).fit(X, Y).save(tmp_path / "model")
    header, arrays = array_file.read(tmp_path / "model", "linear model")
    for name in ("method", "quantile", "epsilon_inside", "initial_accumulator_value"):
        del header["parameters"][name]
    header["parameters"]["learning_rate"] = 0.1
    array_file.write(tmp_path / "model", "linear model", header, arrays)
    assert LinearModel.load(tmp_path / "model").method == "adagrad"
    header["parameters"]["method"] = "adadagrad"
    array_file.write(tmp_path / "model", "linear model", header, arrays)
    with pytest.raises(ValueError, match="is a damaged fastadagrad linear model file: there is no method 'adadagrad'"):
        LinearModel.load(tmp_path / "model")


REFUSED = [
    ({"method": "dog"}, ValueError, "method 'dog' does not train linear models, as DOG measures all weights"),
    ({"method": "dowg"}, ValueError, "DOWG measures all weights before each step"),
    ({"method": "dadapt_adagrad"}, ValueError, "DADAPT_ADAGRAD measures all weights"),
    ({"method": "esgd"}, ValueError, "ESGD goes by Hessian-vector products, and a linear model forms gradients only"),
    ({"method": "adamw"}, ValueError, "there is no method 'adamw': it is 'adam' with decoupled_weight_decay="),
    ({"method": "lbfgs"}, ValueError, "there is no method 'lbfgs': there are adadelta, adagrad"),
    ({"method": 3}, ValueError, "there is no method 3: there are"),
    ({"method": "ftrl", "rms_halflife": 3}, TypeError, "'rms_halflife': it is for method 'adadelta' or 'rmsprop'; of"),
    ({"ftrl_l1": 3}, TypeError, "'ftrl_l1': it is for method 'ftrl'; of its own, 'adagrad' has rms_regularizer"),
    ({"method": "sgd", "rms_regularizer": 1}, TypeError, "of its own, 'sgd' has none"),
    ({"method": "ftrl", "ftrl_11": 3}, TypeError, "unexpected keyword 'ftrl_11'"),
    ({"method": "adam", "beta1_halflive": 3}, TypeError, "did you mean 'beta1_halflife'"),
    ({"method": "adam", "betas": (0.9, 0.99)}, TypeError, "they are beta1_halflife and beta2_halflife here"),
    ({"method": "adam", "accumulator": "row"}, TypeError, "it is an optimizer's or a Dataset's, and a LinearModel has"),
    ({"initial_distance": 1.0}, TypeError, "it is an optimizer's or a Dataset's, and a LinearModel has none"),
    ({"method": "ftrl", "ftrl_l1": -1}, ValueError, "ftrl_l1 must be finite and at least 0"),
    ({"method": "ftrl", "momentum": 0.5}, ValueError, "FTRL sets a parameter by its slots, wherever it was: momentum"),
    ({"method": "ftrl", "learning_rate": 0.0}, ValueError, "learning_rate must be above 0 .*: FTRL divides by it"),
    ({"method": "adadelta", "rms_regularizer": 0.0}, ValueError, "rms_regularizer must be above 0"),
    ({"method": "rprop", "l1": 0.1}, ValueError, "RPROP has no metric in which the proximal l1 and l2 are penalties"),
    ({"method": "cocob", "learning_rate": "auto"}, ValueError, "COCOB, which goes by no learning rate"),
]


@pytest.mark.parametrize(("options", "error", "message"), REFUSED)
def test_refusals(options, error, message):
    with pytest.raises(error, match=message):
        LinearModel(**options)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        *(
            ({"method": name}, f"{name.upper()} changes what it keeps of a weight, and moves it, also where its grad")
            for name in WITHOUT_CLOSED_FORM
        ),
        (
            {"method": "ftrl", "weight_decay": 0.1},
            'weight_decay cannot be caught up .*: use lazy="touched" or "dense"$',
        ),
        ({"method": "rda", "weight_decay": 0.1}, 'weight_decay cannot be caught up .*: use lazy="touched" or "dense"$'),
        ({"method": "sgd", "weight_decay": 0.1}, "weight_decay cannot .*, or l2 or decoupled_weight_decay instead$"),
    ],
)
def test_steps_that_cannot_be_made_good_are_refused_of_sparse_examples(options, reason):
    with pytest.raises(ValueError, match=reason):
        LinearModel(**options).fit(*sparse())
    LinearModel(max_epochs=1, **options).fit(X, Y)  # whose every example has all features


def test_which_methods_have_no_closed_form():
    assert {*WITHOUT_CLOSED_FORM} >= {"adadelta", "adam", "rmsprop", "rprop"}
    assert not {*WITHOUT_CLOSED_FORM} & {"adagrad", "adagrad_da", "cocob", "ftrl", "nag", "rda", "sgd"}


def test_a_keyword_of_another_method_set_as_an_attribute_is_refused():
    with pytest.raises(AttributeError, match=r"'ftrl_l1' to be set, .*: it is LinearModel\(method=\.\.\., ftrl_l1="):
        LinearModel().ftrl_l1 = 1
    with pytest.raises(AttributeError, match=r"it is LinearModel\(ftrl_l1=\.\.\.\)"):
        LinearModel(method="ftrl").ftrl_l1 = 1


@pytest.mark.parametrize(
    ("method", "penalty", "strength"),
    [("ftrl", "ftrl_l1", 1e4), ("rda", "rda_l1", 3), ("adagrad_da", "rda_l1", 3), ("sgd", "l1", 3)],
)
def test_a_penalty_leaves_zeros_and_spares_the_intercept(method, penalty, strength):
    x, y = scipy.sparse.csr_array(np.ones((100, 1))), np.repeat([0, 1], [20, 80])
    model = LinearModel(method=method, max_epochs=50, **{penalty: strength}).fit(x, y)
    assert model.coef_ == 0
    assert model.predict_proba(x)[0, 1] == pytest.approx(0.8, abs=0.1)


@pytest.mark.parametrize("method", ["adam", "cocob", "ftrl"])
def test_without_an_intercept_there_is_none(method):
    assert LinearModel(method=method, intercept=False, max_epochs=1).fit(X, Y).intercept_ == 0


@pytest.mark.parametrize(("method", "rate"), [("adadelta", 1.0), ("ftrl", 0.1), ("sgd", 0.1)])
def test_a_method_has_its_own_learning_rate(method, rate):
    assert LinearModel(method=method, max_epochs=1).fit(X, Y).learning_rate_ == rate


def test_a_rate_is_found_for_other_methods():
    options = {"scale": "none", "learning_rate": "auto", "max_epochs": 5, "implicit": False}
    found = LinearModel("squared", method="sgd", **options).fit(X[:, :3], X[:, 0])
    assert np.isfinite(found.evaluate(X[:, :3], X[:, 0])["loss"])
    assert found.learning_rate_ < 0.1  # at which it diverges
    assert LinearModel(method="ftrl", learning_rate="auto", max_epochs=5).fit(X, Y).learning_rate_ > 0


def test_methods_of_ones_own_train_too(tmp_path):
    class Signs:
        name = "signs_of_slopes"
        slots = ()
        rests = True
        Scalars = namedtuple("Scalars", (*COMMON, "size"))
        Hyperparameters = dataclasses.make_dataclass(
            "Hyperparameters", [("size", float, 1.0)], frozen=True, kw_only=True
        )
        scalar_values = staticmethod(lambda hyper, a, t: (hyper.size,))
        initial = staticmethod(lambda hyper, a: ())
        accumulate = staticmethod(lambda p, g, square, own, s: own)
        scale = staticmethod(lambda own, s: s.one)

        @staticmethod
        def delta(g, H, own, s):
            return s.learning_rate * (s.size if g > s.zero else -s.size if g < s.zero else s.zero), own

    fa.register(Signs)
    try:
        model = LinearModel(method="signs_of_slopes", size=0.25, max_epochs=3).fit(X, Y)
        assert model.evaluate(X, Y)["accuracy"] > 0.8
        model.save(tmp_path / "model")
        assert "signs_of_slopes" in repr(LinearModel.load(tmp_path / "model"))
    finally:
        del METHODS["signs_of_slopes"]
    with pytest.raises(ValueError, match="there is no method 'signs_of_slopes'"):
        LinearModel.load(tmp_path / "model")


def test_accumulators_that_become_infinite_are_told_of(caplog):
    x = np.random.default_rng(0).normal(size=(50, 2))
    LinearModel("squared", scale="none", max_epochs=2).fit(x, 1e20 * x[:, 0])
    assert (
        "epoch 1: 2 weights no longer move, as float32 cannot hold the sums of their squared gradients" in caplog.text
    )
    assert caplog.text.count("no longer move") == 1
