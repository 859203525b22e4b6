"""What goes through pickle, copy.copy, copy.deepcopy and joblib, and into a spawned process."""

import copy
import io
import pickle

import joblib
import numpy as np
import pytest
from sparse import set_thresholds

import fastadagrad as fa


def pickled(value):
    return pickle.loads(pickle.dumps(value))


def dumped(value):
    file = io.BytesIO()
    joblib.dump(value, file)
    file.seek(0)
    return joblib.load(file)


WAYS = pytest.mark.parametrize("way", [pickled, dumped, copy.deepcopy])

X = np.random.default_rng(0).normal(size=(40, 2))
MODELS = {
    "logistic": ({"learning_rate": "auto", "max_epochs": 3}, X[:, 0] > 0),
    "hinge": ({"loss": "hinge", "max_epochs": 2, "dtype": np.float64}, X[:, 0] > 0),
    "softmax": ({"max_epochs": 2}, np.array(["a", "b", "c"])[np.digitize(X[:, 0], [-0.5, 0.5])]),
    "squared": ({"max_epochs": 2, "validation": (X, X[:, 1])}, X[:, 0]),
}


@pytest.mark.parametrize("way", [pickled, dumped, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("loss", MODELS)
def test_linear_models(loss, way):
    hyper, y = MODELS[loss]
    model = fa.LinearModel(**hyper)
    assert repr(way(model)) == repr(model)
    model.fit(X, y)
    twin = way(model)
    assert twin.decision_function(X).tobytes() == model.decision_function(X).tobytes()
    assert twin.predict(X).tolist() == model.predict(X).tolist()
    assert (twin.history, twin.learning_rate_) == (model.history, model.learning_rate_)
    before = model.coef_.copy()
    again = twin.fit(X, y)
    assert again.coef_.tobytes() == before.tobytes()
    twin.fit(X[::-1], y)
    assert model.coef_.tobytes() == before.tobytes()


def test_the_default_of_a_file_is_not_needed_to_save_to_an_object():
    model, file = fa.LinearModel(max_epochs=1).fit(X, X[:, 0] > 0), io.BytesIO()
    model.save(file)
    file.seek(0)
    assert fa.LinearModel.load(file).coef_.tobytes() == model.coef_.tobytes()


@pytest.mark.parametrize("way", [pickled, dumped, copy.copy, copy.deepcopy])
def test_what_an_optimizer_shows(way):
    w = np.ones(3)
    opt = fa.ADAGRAD(lambda p: (float(p["w"] @ p["w"]), {"w": 2 * p["w"]}), {"w": w}, learning_rate=0.1, momentum=0.5)
    opt.minimize(max_epochs=3)
    for shown in (opt.params, opt.state["w"], opt.gradients):
        twin = way(shown)
        assert {k: a.tobytes() for k, a in twin.items()} == {k: a.tobytes() for k, a in shown.items()}
    assert way(opt.state)["w"]["velocity"].tobytes() == opt.state["w"]["velocity"].tobytes()
    assert way(opt.history) == opt.history
    assert way(opt.best) == opt.best
    assert way(opt.hyper) == opt.hyper
    assert way(opt.hyper).learning_rate == 0.1


def test_a_snapshot_is_not_changed_by_later_steps():
    w = np.ones(3)
    opt = fa.ADAGRAD(params={"w": w}, learning_rate=0.5)
    opt.step({"w": np.ones(3)})
    params, state, hyper = map(copy.deepcopy, (opt.params, opt.state, opt.hyper))
    opt.step({"w": np.ones(3)})
    opt.hyper.learning_rate = 0.25
    assert state["w"]["accumulator"].tolist() == [1, 1, 1]
    assert params["w"].round(3).tolist() == [0.5, 0.5, 0.5]
    state["w"]["accumulator"][...] = 7  # it is the reader's own
    assert opt.state["w"]["accumulator"].tolist() == [2, 2, 2]
    hyper.learning_rate = 9
    assert (hyper.learning_rate, opt.hyper.learning_rate) == (9, 0.25)
    with pytest.raises(TypeError, match="did you mean 'learning_rate'"):
        hyper.learning_rat = 1
    with pytest.raises(TypeError):
        params["w"] = np.zeros(3)


@pytest.mark.parametrize("way", [pickled, dumped, copy.copy, copy.deepcopy])
def test_rows(way):
    rows = fa.Rows(np.array([3, 1, 3]), np.ones((3, 2)), assume_unique=False)
    tables = np.zeros((5, 2)), np.zeros((5, 2))
    for table, gradient in zip(tables, (rows, way(rows)), strict=True):
        fa.ADAGRAD(params=table, learning_rate=0.1).step(gradient)
    assert tables[0].tobytes() == tables[1].tobytes()


@pytest.mark.parametrize("way", [pickled, copy.copy, copy.deepcopy])
def test_compiled_updates(way, monkeypatch):
    set_thresholds(monkeypatch)
    kit = fa.compiled_update("adam", learning_rate=0.1, momentum=0.5, dtype=np.float32)
    results = []
    for each in (kit, way(kit)):
        p = np.ones(5, np.float32)
        each.update(p, np.arange(5, dtype=np.float32), each.slots(p), each.scalars())
        results.append(p.tobytes())
    assert results[0] == results[1]


@WAYS
def test_searches_for_a_rate(way):
    w = np.zeros(2)
    search = fa.find_learning_rate(fa.ADAGRAD(lambda w: (float(w @ w - w.sum()), 2 * w - 1), w), steps=5)
    twin = way(search)
    assert (twin.learning_rate, twin.initial_loss) == (search.learning_rate, search.initial_loss)
    assert twin.losses.tobytes() == search.losses.tobytes()
