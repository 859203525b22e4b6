import logging
import math

import numpy as np
import pytest
import scipy.sparse
from explicit import EXPLICIT
from linear_examples import classification, cross_validate, sparse
from places import A9A

import fastadagrad as fa
from fastadagrad.data.loading import load
from fastadagrad.data.tables import Table
from fastadagrad.linear import LinearModel, epochs
from fastadagrad.linear.training import Trainer


@pytest.mark.parametrize(
    ("name", "monitor", "least"),
    [
        ("digits", "accuracy", 0.96),
        ("breast_cancer", "accuracy", 0.97),
        ("wine", "accuracy", 0.96),
        ("iris", "accuracy", 0.94),
        ("diabetes", "r2", 0.46),
    ],
)
def test_held_out_by_default(name, monitor, least):
    assert cross_validate(name, monitor) >= least


@pytest.mark.skipif(not A9A.exists(), reason="a9a is not in ../shared/data")
def test_a9a():
    train = load(A9A, n_features=123)
    test = load(A9A.with_name("a9a.test.svm.gz"), n_features=123)
    model = LinearModel().fit(train)
    assert (model.loss, len(model.history)) == ("logistic", 10)
    found = model.evaluate(test)
    assert found["loss"] <= 0.3250
    assert found["accuracy"] >= 0.8485
    assert LinearModel(l2=3e-4).fit(train).evaluate(test)["loss"] <= 0.3242


@pytest.mark.skipif(not A9A.exists(), reason="a9a is not in ../shared/data")
def test_l1_on_a9a_is_the_dense_proximal_run():
    """The same zeros and the same objective as the optimizer's dense steps, one an example."""
    table, l1, common = load(A9A, n_features=123), 1e-3, {"learning_rate": 0.1, "rms_regularizer": 1e-8}
    model = LinearModel(l1=l1, max_epochs=1, scale="none", shuffle=False, dtype=np.float64, **EXPLICIT).fit(table)
    X, y = scipy.sparse.csr_array(table.features[:3], shape=table.features.shape).toarray().astype(float), table.labels
    w, b = np.zeros(123), np.zeros(1)
    opt = fa.ADAGRAD(params=[w, b], groups={"param0": {"l1": l1}}, **common)
    for x, label in zip(X, np.sign(y), strict=True):
        slope = -label / (1 + np.exp(label * (x @ w + b[0])))
        opt.step([slope * x, np.array([slope])])
    found, expected = (
        np.logaddexp(0, -np.sign(y) * (X @ p + c)).mean() + l1 * np.abs(p).sum()
        for p, c in ((model.coef_.ravel(), model.intercept_), (w, b))
    )
    assert np.count_nonzero(model.coef_ == 0) == np.count_nonzero(w == 0) > 20
    np.testing.assert_array_equal(model.coef_.ravel() == 0, w == 0)
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("batch_size", [1, 16])
def test_same_seed_same_bits(batch_size):
    X, y = classification(classes=3)
    first, again, other = (LinearModel(seed=s, batch_size=batch_size, validation=0.2).fit(X, y) for s in (3, 3, 4))
    np.testing.assert_array_equal(first.coef_, again.coef_)
    np.testing.assert_array_equal(first.intercept_, again.intercept_)
    assert first.history == again.history
    assert not np.array_equal(first.coef_, other.coef_)


def test_each_epoch_and_seed_has_its_own_order(monkeypatch):
    X, y = sparse()
    orders, epoch = [], Trainer.epoch

    def noting(self, order, report=None):
        orders.append(order.tolist())
        return epoch(self, order, report)

    monkeypatch.setattr(Trainer, "epoch", noting)
    for seed in (3, 3, 4):
        LinearModel(seed=seed, max_epochs=2, average=False, learning_rate=0.1).fit(X, y)
    first, again, other = orders[:2], orders[2:4], orders[4:]
    assert first == again
    assert len({tuple(order) for order in (*first, *other)}) == 4
    assert all(sorted(order) == list(range(len(y))) for order in orders)
    LinearModel(shuffle=False, max_epochs=1, average=False, learning_rate=0.1).fit(X, y)
    assert orders[-1] == list(range(len(y)))


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_is_that_of_the_optimizer(nesterov):
    X, y = classification(n=40)
    X /= np.abs(X).max(axis=0)
    options = {"learning_rate": 0.1, "momentum": 0.9, "nesterov": nesterov, "rms_regularizer": 1e-8}
    plain = {"scale": "none", "shuffle": False, "max_epochs": 1, "dtype": np.float64, **EXPLICIT}
    model = LinearModel(**plain, momentum=0.9, nesterov=nesterov).fit(X, y)
    w, b = np.zeros(X.shape[1]), np.zeros(1)
    opt = fa.ADAGRAD(params=[w, b], **options)
    for x, label in zip(X, 2.0 * y - 1, strict=True):
        slope = -label / (1 + np.exp(label * (x @ w + b[0])))
        opt.step([slope * x, np.array([slope])])
    np.testing.assert_allclose(model.coef_, w, rtol=1e-9)
    np.testing.assert_allclose(model.intercept_, b[0], rtol=1e-9)


def test_weights_are_for_features_as_they_come():
    X, y = classification()
    model = LinearModel().fit(X, y)
    np.testing.assert_allclose(model.decision_function(X), X @ model.coef_ + model.intercept_, rtol=1e-9)
    X, y = sparse()
    model = LinearModel().fit(X, y)
    np.testing.assert_allclose(model.decision_function(X), X @ model.coef_ + model.intercept_, rtol=1e-9)


def test_scale_of_features_does_not_matter():
    X, y = sparse()
    factors = 2.0 ** np.random.default_rng(1).integers(-9, 9, X.shape[1])
    plain, scaled = LinearModel().fit(X, y), LinearModel().fit(X @ scipy.sparse.diags_array(factors), y)
    np.testing.assert_array_equal(plain.coef_, scaled.coef_ * factors)
    X, y = classification()
    # Means and deviations are rounded, so not to the last bit.
    plain, scaled = (LinearModel(dtype=np.float64).fit(X * f, y) for f in (1, 1e3))
    np.testing.assert_allclose(plain.coef_, scaled.coef_ * 1e3, rtol=1e-6)


def test_without_scaling_the_loop_sees_the_data_themselves():
    X, y = classification()
    models = [LinearModel(scale=scale).fit(X / np.abs(X).max(axis=0), y) for scale in ("none", "maxabs")]
    np.testing.assert_array_equal(models[0].coef_, models[1].coef_)


def test_dense_and_sparse_agree():
    X, y = sparse()
    options = {"dtype": np.float64, "scale": "maxabs"}
    dense, csr = LinearModel(**options).fit(X.toarray(), y), LinearModel(**options).fit(X, y)
    np.testing.assert_allclose(dense.coef_, csr.coef_, rtol=1e-9, atol=1e-12)


def test_l1_zeroes_the_weights_that_a_dense_proximal_run_zeroes():
    X, y = sparse()
    zeros = [
        np.flatnonzero(LinearModel(l1=0.03, lazy=lazy, dtype=np.float64, seed=1, **EXPLICIT).fit(X, y).coef_ == 0)
        for lazy in ("exact", "dense")
    ]
    assert 5 < len(zeros[0]) < 35
    np.testing.assert_array_equal(zeros[0], zeros[1])


def test_intercept():
    X, y = np.zeros((100, 1)), np.repeat([0, 1], [20, 80])
    assert LinearModel(max_epochs=50).fit(X, y).predict_proba(X)[0, 1] == pytest.approx(0.8, abs=0.05)
    model = LinearModel(intercept=False).fit(X, y)
    assert model.intercept_ == 0
    assert model.predict_proba(X)[0, 1] == 0.5
    penalised = LinearModel(max_epochs=50, l1=1.0, l2=1.0, decoupled_weight_decay=0.5).fit(X, y)
    assert penalised.predict_proba(X)[0, 1] == pytest.approx(0.8, abs=0.05)


def test_loss_is_chosen_by_the_labels(caplog):
    X = np.random.default_rng(0).normal(size=(60, 2))
    cases = [
        ([-1, 1], "logistic"),
        ([True, False], "logistic"),
        (["a", "b"], "logistic"),
        (["a", "b", "c"], "softmax"),
        ([1.0, 2.0, 3.0], "softmax"),
        ([1.0, 2.5, 3.0], "squared"),
        (range(60), "squared"),
    ]
    with caplog.at_level(logging.INFO, "fastadagrad"):
        for labels, expected in cases:
            assert LinearModel(max_epochs=1).fit(X, np.resize(list(labels), 60)).loss == expected
    assert "loss: squared, for 60 different labels in 60 rows" in caplog.text


def test_predictions_are_the_labels_given():
    X, y = classification(classes=3)
    names = np.array(["low", "mid", "top"])[y]
    model = LinearModel().fit(X, names)
    assert set(model.predict(X)) == {"low", "mid", "top"}
    assert (model.predict(X) == names).mean() == pytest.approx(model.evaluate(X, names)["accuracy"])
    X, y = classification()
    hinge = LinearModel("hinge").fit(X, y)
    assert hinge.evaluate(X, y)["accuracy"] > 0.9
    assert (hinge.predict(X) == (hinge.decision_function(X) > 0)).all()


def test_probabilities():
    for classes in (2, 3):
        X, y = classification(classes=classes)
        model = LinearModel().fit(X, y)
        p = model.predict_proba(X)
        assert p.shape == (400, classes)
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
        assert model.evaluate(X, y)["loss"] == pytest.approx(-np.log(p[np.arange(400), y]).mean())
        np.testing.assert_array_equal(p.argmax(axis=1), model.predict(X))
    with pytest.raises(ValueError, match="hinge loss gives no probabilities"):
        LinearModel("hinge", max_epochs=1).fit(*classification()).predict_proba(X)


def test_squared_monitors_are_in_the_labels_unit():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 3))
    y = 1000 + 50 * (X @ [1, 2, 3]) + rng.normal(size=500)
    model = LinearModel(max_epochs=30).fit(X, y)
    found, error = model.evaluate(X, y), model.predict(X) - y
    assert found["loss"] == pytest.approx((error**2).mean() / 2)
    assert found["rmse"] == pytest.approx(np.sqrt((error**2).mean()))
    assert found["r2"] == pytest.approx(1 - (error**2).sum() / ((y - y.mean()) ** 2).sum())
    assert found["r2"] > 0.99
    assert model.coef_ == pytest.approx([50, 100, 150], rel=0.05)


def test_best_epoch_by_validation_is_kept():
    X, y = classification(60, seed=2)
    table = Table(*classification(300, seed=3))
    # Labels of the validation set have another rule: it only gets worse.
    model = LinearModel(max_epochs=30, patience=2).fit(X, y, valid=table)
    losses = [entry["valid_loss"] for entry in model.history]
    assert model.best_epoch == 1 + int(np.argmin(losses))
    assert model.stopped_because == "patience"
    assert len(losses) == model.best_epoch + 3
    assert model.evaluate(table)["loss"] == pytest.approx(min(losses), rel=1e-5)


def test_improvements_below_the_threshold_are_kept_but_end_the_fit():
    X, y = classification(400, seed=2)
    model = LinearModel(max_epochs=30, patience=2, min_improvement=0.9, learning_rate=0.001).fit(X, y, valid=(X, y))
    losses = [entry["valid_loss"] for entry in model.history]
    assert sorted(losses, reverse=True) == losses
    assert (model.stopped_because, len(losses), model.best_epoch) == ("patience", 4, 4)
    assert model.evaluate(X, y)["loss"] == pytest.approx(min(losses), rel=1e-5)


def test_a_loss_that_falls_by_next_to_nothing_ends_the_fit():
    """Steps of all examples, without noise, so that every epoch lowers the loss by something."""
    X, y = classification(100, seed=2)
    full = {"batch_size": 100, "average": False, "learning_rate": 0.1, "dtype": np.float64}
    ends, goes_on = (
        LinearModel("squared", max_epochs=100_000, patience=5, **full, **more).fit(X, y)
        for more in ({}, {"min_improvement": 0.0})
    )
    assert ends.stopped_because == "patience"
    assert len(ends.history) < len(goes_on.history)
    last, before = ends.history[-1]["loss"], ends.history[-6]["loss"]
    assert 0 < before - last < 1e-5 * before


@pytest.mark.parametrize(
    ("losses", "valid", "share"),
    [
        ([1.0] * 40 + [0.641 - 0.001 * i for i in range(10)], None, 1 - 0.632),  # slowly, for a fifth of the epochs
        ([0.0641, 0.0639, 0.0636, 0.0634, 0.0631, 0.0628, 0.0625, 0.0622, 0.0619, 0.0616], None, 1 - 616 / 622),
        ([0.5, 0.4, 0.3, 0.2, 0.1], [0.5, 0.4, 0.3, 0.2, 0.1], 0.5),
        ([0.5, 0.4, 0.3, 0.2, 0.1], [0.5, 0.2, 0.3, 0.4, 0.35], 0),  # though it fell in the last epoch
        ([0.5, 0.4, 0.3, 0.2, 0.1], [0.5, 0.2, 0.3, 0.4, 0.5], 0),
        ([1.0, 0.999, 0.998], None, 0),
        ([1.0], None, 0),
    ],
)
def test_a_loss_that_was_still_falling(losses, valid, share):
    history = [{"epoch": number, "loss": loss} for number, loss in enumerate(losses, 1)]
    for entry, loss in zip(history, valid or (), strict=False):
        entry["valid_loss"] = loss
    found = epochs.still_falling(history, "max_epochs")
    assert found == pytest.approx(share if share > epochs.FALLING else 0)
    assert epochs.still_falling(history, "patience") == 0
    which = "validation" if valid else "training"
    assert epochs.falling(history, "max_epochs").startswith(f"the {which} loss was still falling" if found else "")


@pytest.mark.parametrize(("max_epochs", "level"), [(3, logging.WARNING), (None, logging.INFO)])
def test_a_model_tells_of_a_loss_that_was_still_falling(caplog, max_epochs, level):
    with caplog.at_level(logging.INFO, "fastadagrad"):
        LinearModel(max_epochs=max_epochs).fit(load("iris"))
    (record,) = (record for record in caplog.records if "still falling" in record.getMessage())
    assert record.levelno == level
    assert record.getMessage().startswith("the training loss was still falling, by ")
    assert record.getMessage().endswith(" epochs: a larger max_epochs may help")


def test_a_model_tells_nothing_of_a_loss_that_did_not_fall(caplog):
    with caplog.at_level(logging.INFO, "fastadagrad"):
        LinearModel(learning_rate=0.1).fit(load("diabetes"))
    assert "still falling" not in caplog.text


def test_progress_callable_sees_every_epoch():
    seen = []
    model = LinearModel(max_epochs=3, validation=0.5).fit(*classification(), progress=seen.append)
    assert seen == model.history
    assert list(seen[0]) == ["epoch", "loss", "valid_loss", "valid_accuracy"]


def test_non_finite_loss_ends_the_fit(caplog):
    X = np.random.default_rng(0).normal(size=(50, 2)) * 1e30
    model = LinearModel("squared", scale="none", learning_rate=0.1, implicit=False).fit(X, X[:, 0])
    assert model.stopped_because == "non-finite loss"
    assert np.isfinite(model.coef_).all()
    assert "keeping the weights before it" in caplog.text


@pytest.mark.parametrize("kind", ["logistic", "softmax", "squared"])
def test_save_and_load(tmp_path, kind):
    X, y = classification(classes=3 if kind == "softmax" else 2)
    labels = y * 1.5 + X[:, 0] if kind == "squared" else np.array(["a", "b", "ç"])[y]
    model = LinearModel(kind, l2=1e-3, validation=0.2).fit(X, labels)
    model.save(tmp_path / "model")
    loaded = LinearModel.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded.evaluate(X, labels) == model.evaluate(X, labels)
    assert (loaded.history, loaded.best_epoch, loaded.loss) == (model.history, model.best_epoch, model.loss)
    assert repr(loaded) == repr(model) == f"LinearModel('{kind}', l2=0.001, validation=0.2)"
    assert repr(LinearModel(dtype="float64")) == "LinearModel('auto', dtype=np.float64)"


def test_examples_for_validation_in_any_form():
    X, y = classification()
    expected = LinearModel(max_epochs=2).fit(X, y, valid=Table(X, y)).history
    assert "valid_loss" in expected[0]
    assert LinearModel(max_epochs=2, validation=(X, y)).fit(X, y).history == expected
    assert LinearModel(max_epochs=2, validation=Table(X, y)).fit(X, y).history == expected
    assert LinearModel(max_epochs=2).fit(X, y, valid=[X, y]).history == expected
    quarter = LinearModel(max_epochs=2, validation=0.25).fit(X, y).history
    assert LinearModel(max_epochs=2).fit(X, y, valid=np.float32(0.25)).history == quarter
    assert repr(LinearModel(validation=(X, y))) == "LinearModel('auto', validation=(X, y))"


@pytest.mark.parametrize("classes", [2, 3])
def test_labels_of_no_class_of_the_training_are_misses(classes, caplog):
    X, y = classification(classes=classes)
    foreign = y.copy()
    foreign[:40] = 7
    known = LinearModel(max_epochs=3).fit(X, y, valid=(X[40:], y[40:]))
    assert "of no class" not in caplog.text
    model = LinearModel(max_epochs=3).fit(X, y, valid=(X, foreign))
    assert "40 of 400 labels are of no class of the training, 7 in row 0 the first" in caplog.text
    for with_foreign, without in zip(model.history, known.history, strict=True):
        assert with_foreign["valid_loss"] == without["valid_loss"]
        assert with_foreign["valid_accuracy"] == pytest.approx(without["valid_accuracy"] * 0.9)
    np.testing.assert_array_equal(model.coef_, known.coef_)


RARE = {
    "one of a third class": (np.where(np.arange(200) == 17, "rare", np.resize(["a", "b"], 200)), "softmax"),
    "two positives": (np.isin(np.arange(200), [3, 150]), "logistic"),
    "two positives, as text": (np.where(np.isin(np.arange(200), [3, 150]), "yes", "no"), "logistic"),
    "whole ages": (np.r_[1 + np.random.default_rng(0).poisson(9, 1000), 28, 29], "softmax"),
}


@pytest.mark.parametrize("labels", RARE)
@pytest.mark.parametrize("options", [{"validation": 0.2}, {"validation": 0.5}, {"learning_rate": "auto"}])
def test_a_rare_class_stays_in_training_whatever_the_seed(labels, options):
    y, loss = RARE[labels]
    X = np.random.default_rng(0).normal(size=(len(y), 3))
    for seed in range(8 if "validation" in options else 1):
        model = LinearModel(seed=seed, max_epochs=1, **options).fit(X, y)
        assert model.loss == loss
        assert model.classes_.tolist() == np.unique(y).tolist()
        assert model.history == LinearModel(seed=seed, max_epochs=1, **options).fit(X, y).history


def test_constant_and_huge_features_do_no_harm():
    X, y = classification()
    X[:, 1], X[:, 2] = 0.1, 3e7
    found = LinearModel().fit(X, y).evaluate(X, y)
    assert math.isfinite(found["loss"])
    assert found["accuracy"] > 0.6


def test_chunks_do_not_change_a_plain_run(monkeypatch):
    X, y = sparse()
    whole = LinearModel(batch_size=4).fit(X, y)
    monkeypatch.setattr("fastadagrad.linear.training.CHUNK", 50)
    parts = LinearModel(batch_size=4).fit(X, y)
    np.testing.assert_array_equal(whole.coef_, parts.coef_)
