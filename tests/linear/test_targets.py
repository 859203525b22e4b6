import numpy as np
import pytest

from fastadagrad.linear import LinearModel
from fastadagrad.linear.targets import Targets, choose
from fastadagrad.linear.training import Scorer

Z = np.random.default_rng(0).normal(size=200)


@pytest.mark.parametrize("power", [-1070, -1000, -600, 0, 600, 1022])
def test_labels_of_any_size_are_standardised(power):
    """Powers of two, so that not even a last bit is another one, but where labels are subnormal."""
    z = np.round(np.clip(Z, -1.5, 1.5) * 8) / 8
    labels = np.ldexp(z, power)
    found, plain = (choose("squared", each).standardised(each) for each in (labels, z))
    assert found.centre == pytest.approx(np.ldexp(z.mean(), power), rel=1e-12, abs=5e-324)
    assert found.spread == pytest.approx(np.ldexp(z.std(), power), rel=1e-12, abs=5e-324)
    if power > -1000:
        np.testing.assert_array_equal(found.encode(labels, np.float64), plain.encode(z, np.float64))


@pytest.mark.parametrize("factor", [1e-300, 1e-160, 1e-80, 1e80, 1e155, 1e200, 1e307])
@pytest.mark.parametrize("scale", ["standard", "maxabs"])
def test_the_unit_of_labels_changes_nothing_but_the_unit(factor, scale):
    X, options = Z.reshape(-1, 2), {"scale": scale, "learning_rate": "auto", "max_epochs": 3, "validation": 0.25}
    y = X[:, 0] - 0.5 * X[:, 1] + 0.01 * X[:, 0] * X[:, 1]
    expected, found = (LinearModel("squared", **options).fit(X, y * unit) for unit in (1.0, factor))
    assert found.learning_rate_ == expected.learning_rate_
    assert (found.best_epoch, found.stopped_because) == (expected.best_epoch, expected.stopped_because)
    for entry, reference in zip(found.history, expected.history, strict=True):
        assert entry["valid_rmse"] == pytest.approx(reference["valid_rmse"] * factor, rel=1e-3, abs=0)
        assert entry["valid_r2"] == pytest.approx(reference["valid_r2"], rel=1e-6)
    monitors = found.evaluate(X, y * factor)
    assert monitors["r2"] == pytest.approx(expected.evaluate(X, y)["r2"], rel=1e-6)
    assert monitors["r2"] > 0.99
    loss = expected.evaluate(X, y)["loss"] * factor * factor  # infinite or 0 where float64 has no number for it
    assert monitors["loss"] == pytest.approx(loss, rel=1e-3)


def test_errors_of_scores_of_another_size_than_the_labels():
    monitors = Scorer(Targets("squared")).monitors
    found = monitors(np.array([1e200, -1e200]), np.array([1.0, 2.0]))
    assert (found["rmse"], found["r2"], found["loss"]) == (pytest.approx(1e200), -np.inf, np.inf)
    assert np.isnan(monitors(np.array([1.0, 2.0]), np.array([3.0, 3.0]))["r2"])
    assert monitors(np.array([1e-200, 3e-200]), np.array([1e-200, 2e-200]))["r2"] == pytest.approx(-1)


def test_labels_at_both_ends_of_float64():
    y = np.array([1.7e308, -1.7e308, 1.7e308, 1.7e308])
    found = choose("squared", y).standardised(y)
    assert found.centre == pytest.approx(0.85e308)
    np.testing.assert_allclose(found.encode(y, np.float64), (y / 1e308 - 0.85) / np.std(y / 1e308))


@pytest.mark.parametrize("value", [7.1, -0.1, 1e300])
def test_labels_that_are_all_the_same_are_only_centred(value):
    labels = np.full(1001, value)
    found = choose("squared", labels).standardised(labels)
    assert (found.centre, found.spread) == (value, 1.0)
    assert not found.encode(labels, np.float64).any()


def test_a_label_beyond_the_dtype_is_named():
    with pytest.raises(ValueError, match=r"y has 1e\+39 at row 1, which float32 cannot hold"):
        LinearModel("squared", scale="none").fit(Z[:3, None], [1.5, 1e39, 2.5])


T3 = np.arange(60) % 3


@pytest.mark.parametrize(
    ("trained", "others"),
    [
        ((0, 1), ("0", "1")),
        (("1", "2"), (1.0, 2.0)),
        (("1", "2"), (1, 2)),
        ((-1.0, 1.0), ("-1", "+1")),
        ((0.5, 2.5), ("5e-1", "2.50")),
        ((False, True), (0, 1)),
        ((False, True), ("False", "True")),
        (("False", "True"), (False, True)),
        ((1, 2, 3), ("1.0", "2", "3")),
        (("10", "9", "8"), (10, 9, 8)),
        (("a", "b", "c"), (b"a", b"b", b"c")),
    ],
)
def test_a_number_and_a_string_that_spells_it_are_one_label(trained, others):
    X, t = np.stack([Z[:60], Z[60:120]], axis=1), np.arange(60) % len(trained)
    model = LinearModel(max_epochs=2).fit(X, np.array(trained)[t])
    assert model.evaluate(X, np.array(others)[t]) == model.evaluate(X, np.array(trained)[t])


@pytest.mark.parametrize("trained", [(0, 1), ("a", "b"), (0, 1, 2), ("a", "b", "c")])
@pytest.mark.parametrize("other", [7, 7.5, "7", "nan", "z", "", "1_0"])
def test_a_label_of_no_class_is_a_miss(trained, other, caplog):
    """For the loss it is of no account."""
    X, t = np.stack([Z[:60], Z[60:120]], axis=1), np.arange(60) % len(trained)
    labels = np.array(trained)[t]
    model = LinearModel(max_epochs=2).fit(X, labels)
    known, right = np.arange(60) % 10 != 0, model.predict(X) == labels
    spoilt = [label if one else other for label, one in zip(labels.tolist(), known, strict=True)]
    if len({isinstance(each, str) for each in spoilt}) > 1:  # such are refused
        spoilt = [str(each) for each in spoilt]
    found = model.evaluate(X, spoilt)
    assert found["accuracy"] == pytest.approx(np.mean(right & known))
    assert found["loss"] == pytest.approx(model.evaluate(X[known], labels[known])["loss"])
    assert found["unknown_labels"] == 6
    assert "6 of 60 labels are of no class of the training" in caplog.text
    assert "unknown_labels" not in model.evaluate(X, labels)
    nothing = model.evaluate(X[:2], [other, other])
    assert (nothing["accuracy"], nothing["unknown_labels"]) == (0, 2)
    assert np.isnan(nothing["loss"])


def test_validation_counts_what_it_does_not_know():
    X = np.stack([Z[:60], Z[60:120]], axis=1)
    history = LinearModel(max_epochs=2).fit(X, T3, valid=(X[:4], [0, 1, 2, 9])).history
    assert [entry["valid_unknown_labels"] for entry in history] == [1, 1]
    assert all(entry["valid_accuracy"] <= 0.75 and np.isfinite(entry["valid_loss"]) for entry in history)


def test_numbers_cannot_be_judged_by_strings():
    model = LinearModel(max_epochs=1).fit(Z[:60, None], Z[60:120])
    with pytest.raises(ValueError, match="y has the string 'a' at row 0, and squared loss needs numbers"):
        model.evaluate(Z[:2, None], ["a", "b"])


NEIGHBOURS = np.array([2**53, 2**53 + 1] * 10)


@pytest.mark.parametrize("loss", ["logistic", "softmax"])
@pytest.mark.parametrize("kind", [np.int64, np.uint64, str], ids=["int64", "uint64", "str"])
@pytest.mark.parametrize("other", [np.int64, np.uint64, str, object], ids=["int64", "uint64", "str", "object"])
def test_classes_beyond_floats_are_told_apart(loss, kind, other):
    """Whatever the labels of the training and those that are judged are."""
    X = np.where(NEIGHBOURS == 2**53, -1.0, 1.0)[:, None]
    model = LinearModel(loss, max_epochs=5, learning_rate=1.0).fit(X, NEIGHBOURS.astype(kind))
    assert [int(each) for each in model.classes_] == [2**53, 2**53 + 1]
    assert model.evaluate(X, NEIGHBOURS.astype(other))["accuracy"] == 1
    strange = model.evaluate(X[:2], np.array([2**53 + 2, 2**53 + 1]).astype(other))
    assert (strange["unknown_labels"], strange["accuracy"]) == (1, 0.5)


def test_floats_are_the_whole_numbers_that_they_are():
    X = np.where(NEIGHBOURS == 2**53, -1.0, 1.0)[:, None]
    model = LinearModel(max_epochs=5, learning_rate=1.0).fit(X, NEIGHBOURS)
    assert model.evaluate(X[:1], [float(2**53)])["accuracy"] == 1
    assert model.evaluate(X[:1], [float(2**53 + 2)])["unknown_labels"] == 1


@pytest.mark.parametrize("y", [["1", "2", "4"], np.array(["1.0", "2.0", "4.0"], dtype=object), [b"1", b"2", b"4"]])
def test_a_regression_takes_no_strings_wherever_they_are_given(y):
    """Be they such as spell numbers; the message names the parameter, and what it says to do does."""
    X, numbers = np.array([[1.0], [2.0], [3.0]]), [1.0, 2.0, 4.0]
    model = LinearModel("squared", max_epochs=1)
    with pytest.raises(ValueError, match=r"^y has the string '1.*' at row 0, and squared loss needs numbers as labels"):
        model.fit(X, y)
    model.fit(X, numbers)
    with pytest.raises(ValueError, match=r"^y has the string '1.*' at row 0.*: numpy\.asarray\(y, float\) makes"):
        model.evaluate(X, y)
    assert model.evaluate(X, np.asarray(y, float)) == model.evaluate(X, numbers)
    with pytest.raises(ValueError, match=r"^y of the validation examples has the string '1.*' at row 0"):
        model.fit(X, numbers, valid=(X, y))
