"""Arguments, attributes and columns that linear models refuse, and arguments that they take in any form."""

import numpy as np
import pytest
from linear_examples import classification, sparse

from fastadagrad.data.tables import Table
from fastadagrad.linear import LinearModel


def test_parameters_given_as_numpy_scalars_are_saved(tmp_path):
    X, y = classification()
    model = LinearModel(
        "logistic",
        l2=np.float32(0.125),
        seed=np.int64(1),
        intercept=np.True_,
        shuffle=np.False_,
        batch_size=np.int32(2),
        max_epochs=np.int8(3),
        patience=np.int64(4),
        validation=np.float32(0.25),
    ).fit(X, y)
    model.save(tmp_path / "model")
    shown = "l2=0.125, batch_size=2, max_epochs=3, patience=4, validation=0.25, shuffle=False, seed=1"
    assert repr(LinearModel.load(tmp_path / "model")) == repr(model) == f"LinearModel('logistic', {shown})"


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("batch_size", r"it is LinearModel\(batch_size=\.\.\.\)"),
        ("lr", r"did you mean LinearModel\(learning_rate=\.\.\.\)"),
        ("random_state", r"did you mean LinearModel\(seed=\.\.\.\)"),
        ("tol", r"it is min_improvement here, relative to the loss, in LinearModel\(\.\.\.=\.\.\.\)"),
        ("valid", r"it is model\.fit\(\.\.\., valid=\.\.\.\)"),
        ("max_updates", "it is an optimizer's or a Dataset's, and a LinearModel has none"),
        ("accumulator", "it is an optimizer's or a Dataset's, and a LinearModel has none"),
        ("iteration_size", "it is an optimizer's or a Dataset's, and a LinearModel has none"),
    ],
)
def test_keywords_set_as_attributes_are_refused(name, place):
    model = LinearModel()
    with pytest.raises(AttributeError, match=f"LinearModel has no attribute '{name}' to be set, .*: {place}"):
        setattr(model, name, 3)
    assert not hasattr(model, name)
    model.remark = "mine"
    assert model.remark == "mine"


def test_refusals():
    X, y = classification()
    for options, error, text in [
        ({"loss": "log"}, ValueError, "loss must be one of 'auto', 'logistic'"),
        ({"learning_rate": -1}, ValueError, "learning_rate must be finite and at least 0"),
        ({"learning_rate": lambda t: 1}, TypeError, "learning_rate must be a number"),
        ({"learning_rate": "automatic"}, TypeError, "learning_rate must be a number"),
        ({"batch_size": 0}, ValueError, "batch_size must be a whole number of at least 1, not 0"),
        ({"batch_size": 2.0}, TypeError, "batch_size must be a whole number"),
        ({"momentum": 0.9, "l1": 1}, ValueError, "l1 and l2 cannot be combined with momentum"),
        ({"validation": 1.0}, ValueError, "validation must be a fraction"),
        ({"dtype": np.float16}, ValueError, "dtype must be float32 or float64"),
        ({"decoupled_weight_decay": 20, "learning_rate": 0.1}, ValueError, "must be below 1"),
        ({"learning_rate": 1e39}, ValueError, "1e\\+39, which float32 cannot hold"),
        ({"validation": "x"}, TypeError, r"validation must be a fraction in \[0, 1\), a Table or \(X, y\), not str"),
        ({"validation": (X, y, y)}, ValueError, "validation must be .*, not a tuple of 3"),
        ({"validation": True}, TypeError, "validation must be a fraction"),
        ({"batch_size": 2**70}, ValueError, "batch_size must be a whole number of at most 2147483647, not 11805"),
        ({"dtype": "foo"}, ValueError, "dtype must be float32 or float64, not 'foo'"),
        ({"dtype": None}, ValueError, "dtype must be float32 or float64, not None"),
        ({"intercept": "no"}, TypeError, "intercept must be True or False, not 'no'"),
        ({"shuffle": "no"}, TypeError, "shuffle must be True or False, not 'no'"),
        ({"loss": X}, ValueError, "loss must be one of"),
    ]:
        with pytest.raises(error, match=text):
            LinearModel(**options)
    assert LinearModel(learning_rate=1e39, dtype=np.float64) is not None
    with pytest.raises(ValueError, match=r"valid must be .*, not a tuple of 3"):
        LinearModel().fit(X, y, valid=(X, y, y))
    with pytest.raises(TypeError, match=r"valid must be .*, not str 'x'"):
        LinearModel().fit(X, y, valid="x")
    with pytest.raises(TypeError, match="unexpected keyword"):
        LinearModel(learningrate=1)
    with pytest.raises(RuntimeError, match="has not been trained"):
        LinearModel().predict(X)
    with pytest.raises(ValueError, match="softmax needs at least two"):
        LinearModel("softmax").fit(X, np.ones(400))
    with pytest.raises(ValueError, match="hinge takes two"):
        LinearModel("hinge").fit(X, np.arange(400) % 3)
    with pytest.raises(ValueError, match="squared loss needs numbers"):
        LinearModel("squared").fit(X, np.resize(["a", "b"], 400))
    with pytest.raises(ValueError, match=r"no label of the validation examples is a class .* 7, the classes are 0, 1"):
        LinearModel(max_epochs=1).fit(X, y, valid=(X[:2], [7, 8]))
    with pytest.raises(ValueError, match=r"no label .* is a class of the training: the first is 'a'"):
        LinearModel(max_epochs=1).fit(X, y, valid=(X[:2], ["a", "b"]))
    with pytest.raises(ValueError, match='would make a sparse X dense: use "maxabs"'):
        LinearModel(scale="standard").fit(*sparse())
    with pytest.raises(ValueError, match="weight_decay cannot be caught up exactly"):
        LinearModel(weight_decay=0.1).fit(*sparse())
    with pytest.raises(ValueError, match="must have 6 features"):
        LinearModel(max_epochs=1).fit(X, y).predict(X[:, :3])
    with pytest.raises(TypeError, match="y is missing"):
        LinearModel().fit(X)


def test_columns_in_another_order_are_refused():
    pandas = pytest.importorskip("pandas")
    X, y = classification(features=3)
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    swapped, other = frame[["a", "c", "b"]], frame.rename(columns={"c": "d"})
    model = LinearModel(max_epochs=1).fit(frame, y)
    expected = model.predict(X)
    for same in (frame, X, pandas.DataFrame(X), Table(X, y), Table(X, y, feature_names=("a", "b", "c"))):
        np.testing.assert_array_equal(model.predict(same), expected)
    wrong_order = "must have the features of the training, in their order: column 1 is 'c', not 'b'"
    for refused, said in [
        (swapped, wrong_order),
        (Table(X, y, feature_names=("a", "c", "b")), wrong_order),
        (other, r"missing are \['c'\], unknown are \['d'\]"),
    ]:
        for call in (model.predict, model.decision_function, model.predict_proba):
            with pytest.raises(ValueError, match="X " + wrong_order if said is wrong_order else said):
                call(refused)
    for refused in (swapped, other):
        with pytest.raises(ValueError, match="X must have the features of the training"):
            model.evaluate(refused, y)
        with pytest.raises(ValueError, match="the validation examples must have the features of the training"):
            LinearModel().fit(frame, y, valid=(refused, y))
    LinearModel(max_epochs=1).fit(X, y).predict(swapped)  # trained without names


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("learning_rate", r"it is LinearModel\(learning_rate=\.\.\.\)"),
        ("max_epochs", r"it is LinearModel\(max_epochs=\.\.\.\)"),
        ("loss", r"it is LinearModel\(loss=\.\.\.\)"),
        ("lr", r"did you mean LinearModel\(learning_rate=\.\.\.\)\?"),
    ],
)
def test_attributes_that_no_fit_goes_by(name, part):
    model = LinearModel()
    with pytest.raises(AttributeError, match=part):
        setattr(model, name, 3)
    model.my_own = 3
    assert model.my_own == 3
