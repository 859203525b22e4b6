"""Hints: slips of the pen are mended, others' names translated, and what means something else is left alone."""

import doctest
import inspect

import numpy as np
import pytest

import fastadagrad as fa
from fastadagrad.engine.options import hyper_names
from fastadagrad.optimizer.methods import METHODS
from fastadagrad.support import attributes, hints
from fastadagrad.support.hints import KEYWORDS, Meant, hint, meant_by


def test_docstring_examples():
    assert doctest.testmod(hints).failed == 0


KNOWN = [
    "learning_rate",
    "lr_decay",
    "weight_decay",
    "momentum",
    "nesterov",
    "max_gradient_elem",
    "l1",
    "l2",
    "patience",
]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("learnign_rate", "learning_rate"),
        ("learning_rates", "learning_rate"),
        ("learningRate", "learning_rate"),
        ("Learning-Rate", "learning_rate"),
        ("learningrat", "learning_rate"),
        ("momemtum", "momentum"),
        ("nestrov", "nesterov"),
        ("max_gradeint_elem", "max_gradient_elem"),
        ("patients", "patience"),
        ("L1", "l1"),
    ],
)
def test_slips(name, meant):
    assert hint(name, KNOWN) == f"did you mean {meant!r}?"


def test_a_known_name_is_apart_from_the_sentence():
    assert meant_by("lr", KNOWN, KEYWORDS) == Meant("learning_rate", "did you mean 'learning_rate'?")
    assert meant_by("rho", ["rms_halflife"], KEYWORDS).name is None
    assert meant_by("asgd", KNOWN, KEYWORDS) is None


@pytest.mark.parametrize(
    "name",
    [
        *["beta1_decay", "rms_decay", "decay", "lr", "learning", "rate", "weight", "l3", "l", "max_updates", "elem"],
        *["", "max_gradient_clip", "weight_delay_of_all", "gradient", 3],
    ],
)
def test_what_resembles_nothing(name):
    assert hint(name, KNOWN) is None


@pytest.mark.parametrize("name", ["asgd", "nadam", "radam", "adan", "dogs_and_cats", "adafactor", "lion", "sdog"])
def test_other_methods_are_no_slips(name):
    with pytest.raises(ValueError, match=f"no method '{name}': there are .*sgd"):
        fa.build(name, params=np.zeros(1))


@pytest.mark.parametrize(
    ("name", "meant"), [("sdg", "sgd"), ("adagard", "adagrad"), ("Adagrad-DA", "adagrad_da"), ("rpropp", "rprop")]
)
def test_misspelt_methods(name, meant):
    with pytest.raises(ValueError, match=f"did you mean '{meant}'"):
        fa.build(name, params=np.zeros(1))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("AdamW", "it is 'adam' with decoupled_weight_decay="),
        ("amsgrad", "it is 'adam' with amsgrad=True"),
        ("row_wise_adagrad", "it is 'adagrad' with accumulator='row'"),
        ("momentum", "it is 'sgd' with momentum="),
        ("ftrl-proximal", "did you mean 'ftrl'"),
    ],
)
def test_methods_of_other_names(name, sentence):
    with pytest.raises(ValueError, match=sentence):
        fa.build(name, params=np.zeros(1))


@pytest.mark.parametrize(
    ("method", "keyword", "said"),
    [
        ("adagrad", "lr", "did you mean 'learning_rate'"),
        ("adagrad", "eps", "did you mean 'rms_regularizer'"),
        ("adagrad", "gradient_clip", "did you mean 'max_gradient_elem'"),
        ("adagrad", "max_gradient_clip", "did you mean 'max_gradient_elem'"),
        ("adagrad", "clipnorm", "did you mean 'max_gradient_norm'"),
        ("adagrad", "max_grad_norm", "max_global_norm for all gradients together"),
        ("adam", "beta_1", r"it is beta1_halflife here, -log\(2\)/log\(beta1\)"),
        ("adam", "betas", "they are beta1_halflife and beta2_halflife here"),
        ("rmsprop", "rho", "it is rms_halflife here"),
        ("adadelta", "rho", "it is rms_halflife here"),
        ("rprop", "etas", "they are rprop_decrease and rprop_increase here"),
        ("dog", "reps_rel", "did you mean 'initial_distance'"),
        ("esgd", "hv_method", "it is hv here: a callable, 'autograd' or 'differences'"),
        ("cocob", "alpha", "did you mean 'cocob_alpha'"),
        ("rmsprop", "alpha", "it is rms_halflife here"),
        ("adagrad", "alpha", "it is learning_rate here if it is the size of a step, l2 if"),
        ("rmsprop", "rms", "it is rms_halflife here for how long .*, rms_regularizer for"),
        ("adagrad", "rms", "did you mean 'rms_regularizer'"),
        ("adagrad", "step_size", "did you mean 'learning_rate'"),
        ("adagrad", "eta", "did you mean 'learning_rate'"),
        ("adagrad", "rho", "it is rms_halflife of adadelta.* and rmsprop, and of no use to this method"),
        ("adagrad", "betas", "it is beta1_halflife and beta2_halflife of adam and adamax, and of no use to"),
        ("sgd", "eps", "it is rms_regularizer of .*adagrad.*, and of no use to this method"),
        ("sgd", "beta1", "it is beta1_halflife of adam and adamax, and of no use"),
        ("sgd", "etas", "it is rprop_increase and rprop_decrease of rprop, and of no use"),
    ],
)
def test_keywords_of_other_libraries(method, keyword, said):
    with pytest.raises(TypeError, match=said):
        fa.build(method, params=np.zeros(1), **{keyword: 0.5})


@pytest.mark.parametrize(
    ("method", "keyword"),
    [
        ("adam", "beta1_decay"),
        ("sgd", "my_own"),
    ],
)
def test_no_hint_where_no_method_has_such_a_thing(method, keyword):
    with pytest.raises(TypeError, match=f"{keyword!r}: known are "):
        fa.build(method, params=np.zeros(1), **{keyword: 0.5})


@pytest.mark.parametrize(
    ("keyword", "said"),
    [
        ("lr", "did you mean 'learning_rate'"),
        ("eta0", "did you mean 'learning_rate'"),
        ("learnig_rate", "did you mean 'learning_rate'"),
        ("batchsize", "did you mean 'batch_size'"),
        ("epochs", "did you mean 'max_epochs'"),
        ("max_iter", "did you mean 'max_epochs'"),
        ("random_state", "did you mean 'seed'"),
        ("rng", "did you mean 'seed'"),
        ("fit_intercept", "did you mean 'intercept'"),
        ("validation_fraction", "did you mean 'validation'"),
        ("n_iter_no_change", "did you mean 'patience'"),
        ("eps", "did you mean 'rms_regularizer'"),
        ("alpha", "it is l2 here, or l1, by the penalty"),
        ("C", r"it is l2 here, 1/\(C\*n\) for n examples"),
        ("penalty", "it is l1 or l2 here"),
        ("tol", "it is min_improvement here"),
        ("valid", "fit takes it"),
        ("progress", "fit takes it"),
        ("max_updates", "it is an optimizer's or a Dataset's, and a LinearModel has none"),
        ("threads", "it is an optimizer's or a Dataset's, and a LinearModel has none"),
        ("iteration_size", "it is an optimizer's or a Dataset's, and a LinearModel has none"),
        ("class_weight", "known are average, batch_size, .*, weight_decay"),
    ],
)
def test_keywords_of_a_linear_model(keyword, said):
    with pytest.raises(TypeError, match=f"LinearModel got an unexpected keyword '{keyword}': {said}"):
        fa.LinearModel(**{keyword: 1})


@pytest.mark.parametrize(
    ("keyword", "said"),
    [
        ("batchsize", "did you mean 'batch_size'"),
        ("seed", "did you mean 'rng'"),
        ("steps_per_epoch", "did you mean 'iteration_size'"),
        ("train_batches", "did you mean 'iteration_size'"),
        ("drop_last", "known are axis, batch_size, inputs"),
    ],
)
def test_keywords_of_a_dataset(keyword, said):
    with pytest.raises(TypeError, match=f"Dataset got an unexpected keyword '{keyword}': {said}"):
        fa.Dataset(np.zeros(3), **{keyword: 1})


def test_keywords_of_a_dataset_given_to_a_run():
    opt = fa.ADAGRAD(lambda w: (w @ w, 2 * w), np.zeros(1))
    for name in ("shuffle", "axis", "iteration_size"):
        with pytest.raises(TypeError, match=rf"a Dataset takes it, fastadagrad\.Dataset\(\.\.\., {name}=\.\.\.\)"):
            opt.iterate(**{name: 1})
    with pytest.raises(TypeError, match="did you mean 'train_batches'"):
        opt.iterate(steps_per_epoch=1)


def test_every_translation_is_to_something_that_there_is():
    keywords = {name for method in METHODS.values() for name in hyper_names(method.rule)}
    keywords |= {*fa.ESGD._making, *attributes.RUNNING, "params", "train", "valid", "loss"}
    of_models, of_data = (keywords | {*inspect.signature(each).parameters} for each in (fa.LinearModel, fa.Dataset))
    tables = [(hints.KEYWORDS, keywords), (hints.LINEAR_MODELS, of_models), (hints.DATASETS, of_data)]
    for table, there in (*tables, (hints.METHODS, {*METHODS})):
        for name, meant in table.items():
            assert name == hints._folded(name)
            for each in meant if isinstance(meant, tuple) else (meant,):
                assert set(hints.needs_of(each)) <= there, name


FOREIGN = ("lr", "eps", "alpha", "step_size", "eta", "rms")


@pytest.mark.parametrize("name", FOREIGN)
def test_names_of_other_libraries_are_no_attributes(name):
    opt = fa.ADAGRAD(params=np.zeros(1))
    for use in (lambda: getattr(opt, name), lambda: setattr(opt, name, 1), lambda: getattr(opt.hyper, name)):
        with pytest.raises(AttributeError, match=r"learning_rate|rms_regularizer"):
            use()
    with pytest.raises(KeyError, match=r"learning_rate|rms_regularizer"):
        opt.hyper[name]
    with pytest.raises(TypeError, match=r"learning_rate|rms_regularizer"):
        setattr(opt.hyper, name, 1)
    assert not hasattr(opt, name)
    assert name not in dir(opt)
    assert name not in dir(fa.ADAGRAD) or not hasattr(fa.ADAGRAD, name)


def test_an_attribute_that_another_method_has_under_our_name_says_which():
    opt = fa.ADAGRAD(params=np.zeros(1))
    for use in (lambda: opt.rho, lambda: setattr(opt, "rho", 0.9), lambda: opt.hyper.rho):
        with pytest.raises(AttributeError, match=r"rms_halflife of adadelta.* and of no use to this method"):
            use()
    with pytest.raises(AttributeError, match=r"it is rms_halflife here.*in opt\.hyper"):
        _ = fa.RMSProp(params=np.zeros(1)).rho


def test_names_of_other_libraries_that_are_attributes_are_spelt_as_hints_know_them():
    for name in attributes.OF_OTHERS:
        assert hints._folded(name) in KEYWORDS, name


def test_names_of_parameters_are_nobodys_but_the_users():
    with pytest.raises(TypeError, match="'lr': known are learning_rate"):
        fa.ADAGRAD(params={"learning_rate": np.zeros(1)}, groups={"lr": {}})
    with pytest.raises(TypeError, match="'param2': known are param0, param1"):
        fa.ADAGRAD(params=[np.zeros(1), np.zeros(1)], groups={"param2": {}})
