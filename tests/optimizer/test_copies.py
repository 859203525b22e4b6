"""What goes through pickle, copy.copy, copy.deepcopy and joblib, and into a spawned process."""

import copy
import io
import multiprocessing
import pickle
import threading

import joblib
import numpy as np
import pytest
from family import METHODS, optimizer_class
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


def bowl(p, *batch):
    """A loss of parameters in a dict, which another process can import."""
    return float(sum((a**2).sum() for a in p.values())), {name: 2 * a for name, a in p.items()}


def everything(opt):
    state = {name: {slot: a.tobytes() for slot, a in slots.items()} for name, slots in opt.state.items()}
    best = [a.tobytes() for a in opt._session.ledger.best_arrays]
    counts = opt.steps, opt.skipped, dict(opt.learned), opt.stopped_because, dict(opt.hyper)
    return [a.tobytes() for a in opt.params.values()], state, counts, opt.best, best, opt.history


def gradients_of(seed):
    rng = np.random.default_rng(seed)
    return {"w": rng.standard_normal((4, 3)), "b": rng.standard_normal(3)}


OPTIMIZERS = {
    "adagrad": {"momentum": 0.5, "nesterov": True, "groups": {"b": {"learning_rate": 0.01, "weight_decay": 0.1}}},
    "rmsprop": {"centered": False},
    "adam": {"lr_decay": 0.1},
    "ftrl": {"ftrl_l1": 0.01},
    "cocob": {},
    "dog": {},
    "dadapt_adagrad": {"max_global_norm": 1.0},
}


@WAYS
@pytest.mark.parametrize("algo", OPTIMIZERS)
def test_optimizers(algo, way):
    params = {"w": np.ones((4, 3)), "b": np.zeros(3)}
    opt = fa.build(algo, bowl, params, learning_rate=0.1, monitors={"m": largest}, **OPTIMIZERS[algo])
    for steps in (0, 3):
        for seed in range(steps):
            opt.step(gradients_of(seed))
        if steps:
            opt.minimize(max_epochs=2, validate_every=1)
        twin = way(opt)
        assert type(twin) is type(opt)
        assert everything(twin) == everything(opt)
        assert not any(np.shares_memory(a, b) for a, b in zip(twin.params.values(), params.values(), strict=True))
        before = everything(opt)
        for seed in range(3):
            twin.step(gradients_of(seed))
        assert everything(opt) == before
        for seed in range(3):
            opt.step(gradients_of(seed))
        assert everything(twin) == everything(opt)
        assert twin.minimize(max_epochs=3) == opt.minimize(max_epochs=3)
        assert everything(twin) == everything(opt)
        assert twin.evaluate(None) == opt.evaluate(None)


def largest(p, *batch):
    return max(abs(a).max() for a in p.values())


def pull(w, x):
    return float(abs(w - x[0]).max()), w - x[0]


@WAYS
def test_an_optimizer_in_the_midst_of_an_iteration(way):
    """Its copy steps by what is in force, and takes the iteration up where it was."""

    def data(seed):
        return fa.Dataset(np.arange(14.0).reshape(7, 2), name="data", batch_size=2, rng=seed)

    how = {"learning_rate": 0.3, "momentum": 0.5, "validate_every": 1, "max_epochs": 4}
    opt, twin, same = fa.ADAGRAD(pull, np.ones(2), learning_rate=0.1), None, None
    for epoch, _ in enumerate(opt.iterate(data(0), **how), 1):
        if epoch == 2:
            twin, same = way(opt), way(opt)
            assert dict(twin.hyper)["learning_rate"] == opt.hyper.learning_rate
    twin.minimize(data(1), **how)
    assert everything(twin) == everything(opt)
    expected = copy.deepcopy(same)
    expected.hyper.learning_rate = 0.3
    for each in (same, expected):
        each.step(np.ones(2))
    assert same.params["param0"].tobytes() == expected.params["param0"].tobytes()


@WAYS
def test_rows_that_lag_behind_are_caught_up(way):
    table = np.ones((20, 2))
    opt = fa.ADAGRAD(params=table, learning_rate=0.1, decoupled_weight_decay=0.5)
    for i in range(3):
        opt.step(fa.Rows(np.array([i]), np.ones((1, 2))))
    twin = way(opt)
    for each in (opt, twin):
        each.step(fa.Rows(np.array([7]), np.ones((1, 2))))
        each.flush()
    assert twin.params["param0"].tobytes() == table.tobytes()


class Model:
    """A loss that is a method of what has the parameters."""

    def __init__(self):
        self.w = np.ones(2)
        self.opt = fa.ADAGRAD(self.loss, self.w, learning_rate=0.5, updates=[(np.zeros(2), self.remember)])
        self.updates = dict(self.opt.get_updates())

    def loss(self, w):
        assert w is self.w
        return float(w @ w), 2 * w

    def remember(self, w):
        return w


@pytest.mark.parametrize("way", [pickled, copy.deepcopy])  # joblib writes an array wherever it occurs
def test_what_belongs_together_stays_together(way):
    model = Model()
    model.opt.step(np.ones(2))
    twin = way(model)
    assert twin.opt.params["param0"] is twin.w
    twin.opt.minimize(max_epochs=2)
    twin.updates["param0"](np.ones(2))
    assert twin.opt._session.ledger.updates == {"param0": 1}
    assert twin.w.tolist() != model.w.tolist()
    assert model.opt.steps == 1
    params = {"w": np.ones(3)}
    again, opt = way((params, fa.ADAGRAD(params=params)))
    assert opt.params["w"] is again["w"]


class Annotated(fa.ADAGRAD):
    def __init__(self, note, **rest):
        self.note = note
        super().__init__(**rest)
        self.later = [note]


@WAYS
def test_subclasses_and_what_users_have_attached(way):
    twin = way(Annotated("mine", params=np.ones(2), learning_rate=0.5))
    assert (type(twin), twin.note, twin.later) == (Annotated, "mine", ["mine"])
    twin.step(np.ones(2))


def test_a_shallow_copy_is_refused_with_what_to_do():
    opt = fa.ADAGRAD(params=np.ones(2))
    with pytest.raises(TypeError, match=r"opt.twin\(\) and copy.deepcopy\(opt\) have their own, .* save"):
        copy.copy(opt)


def test_a_loss_that_cannot_be_pickled_is_pythons_to_tell():
    opt = fa.ADAGRAD(lambda w: (0.0, w), np.ones(2))
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(opt)
    copy.deepcopy(opt).step(np.ones(2))


def test_parameters_that_arrive_read_only_are_copied():
    """Joblib maps large arrays into its workers."""
    opt = fa.ADAGRAD(params={"w": np.ones(3), "b": np.zeros(2)}, learning_rate=0.5)
    opt.step({"w": np.ones(3), "b": np.ones(2)})
    buffers = []
    content = pickle.dumps(opt, protocol=5, buffer_callback=buffers.append)
    twin = pickle.loads(content, buffers=[bytes(buffer.raw()) for buffer in buffers])
    for each in (opt, twin):
        each.step({"w": np.ones(3), "b": np.ones(2)})
    assert everything(twin) == everything(opt)


def test_memmaps(tmp_path):
    w = np.memmap(tmp_path / "w", np.float32, "w+", shape=(5,))
    opt = fa.ADAGRAD(params=w, learning_rate=0.5)
    for twin in (copy.deepcopy(opt), pickled(opt)):
        twin.step(np.ones(5, np.float32))
        assert not w.any()
        assert twin.params["param0"].round(3).tolist() == [-0.5] * 5


def trained_elsewhere(model, opt, rows):
    opt.step(rows)
    return model.predict(X).tolist(), everything(opt)


def test_a_spawned_process():
    model = fa.LinearModel(max_epochs=1).fit(X, X[:, 0] > 0)
    opt = fa.ADAGRAD(params=np.ones((4, 2)), learning_rate=0.1, momentum=0.5)
    rows = fa.Rows(np.array([2, 2]), np.ones((2, 2)))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        predicted, found = pool.apply(trained_elsewhere, (model, opt, rows))
    assert opt.steps == 0
    opt.step(rows)
    assert predicted == model.predict(X).tolist()
    assert found == everything(opt)


def test_locks_are_not_copied():
    """Locks that another thread holds are not copied."""
    opt = fa.ADAGRAD(params=np.ones(3))
    with opt._session.engine.lock:
        twin = pickled(opt)
    thread = threading.Thread(target=twin.step, args=(np.ones(3),))
    thread.start()
    thread.join(60)
    assert twin.steps == 1


# --- twins ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_a_twin_goes_on_with_the_same_bits(name):
    rng = np.random.default_rng(3)
    opt = optimizer_class(name)(params={"w": np.ones((2, 3)), "b": np.zeros(2)})

    def step(*opts):
        gradients = {"w": rng.normal(size=(2, 3)), "b": rng.normal(size=2)}
        for each in opts:
            each.step(gradients)

    for _ in range(3):
        step(opt)
    twin = opt.twin()
    assert type(twin) is type(opt)
    assert everything(twin) == everything(opt)
    for _ in range(3):
        step(opt, twin)
    assert everything(twin) == everything(opt)
    before = everything(opt)
    step(twin)
    assert everything(opt) == before
    assert twin.steps == opt.steps + 1


def test_a_twin_of_rows_that_lag_behind():
    rng = np.random.default_rng(4)
    opt = fa.ADAGRAD(params={"w": np.ones((9, 2))}, learning_rate=0.1, momentum=0.9)
    for _ in range(4):
        opt.step({"w": fa.Rows(rng.integers(9, size=2), rng.normal(size=(2, 2)))})
    twin = opt.twin()
    for each in (opt, twin):
        each.step({"w": fa.Rows(np.array([3]), np.ones((1, 2)))})
        each.flush()
    assert everything(twin) == everything(opt)


def test_a_twin_of_given_parameters_starts_from_their_values():
    w, v = np.ones(3), np.full(3, 5.0)
    opt = fa.ADAGRAD(params=w, learning_rate=0.5, initial_accumulator_value=1.0)
    opt.step(np.ones(3))
    twin = opt.twin(v)
    twin.step(np.zeros(3))
    assert twin.params["param0"] is v
    assert v.tolist() == [5.0] * 3
    assert twin.state["param0"]["accumulator"].tolist() == [2.0] * 3
    sharing = opt.twin(w)
    before = w.copy()
    sharing.step(np.ones(3))
    assert (w < before).all()
    assert opt.steps == 1


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"v": np.ones(3)}, ValueError, r"params must be named as they are here, \['w'\], not \['v'\]"),
        (
            {"w": np.ones(4)},
            ValueError,
            r"parameter 'w' must be float64 of shape \(3,\), as it is here",
        ),
        ({"w": np.ones(3, np.float32)}, ValueError, "not float32 of shape"),
        ({"w": [1.0, 2.0, 3.0]}, TypeError, "'w'"),
    ],
)
def test_parameters_that_a_twin_cannot_have(params, error, message):
    opt = fa.ADAGRAD(params={"w": np.ones(3)})
    with pytest.raises(error, match=message):
        opt.twin(params)


def test_a_twin_made_in_a_run_is_in_none_and_has_its_hyperparameters():
    opt = fa.ADAGRAD(lambda w: (float(w @ w), 2 * w), np.ones(3), learning_rate=0.1)
    for _ in opt.iterate(max_epochs=5, learning_rate=0.3):
        twin = opt.twin()
        break
    assert (twin.hyper.learning_rate, opt.hyper.learning_rate) == (0.3, 0.1)
    before = everything(opt)
    assert twin.minimize(max_epochs=2)[1]["loss"] < 3
    assert everything(opt) == before


@pytest.mark.parametrize("kind", [list, tuple])
def test_gradients_of_named_parameters_in_their_order(kind):
    opts = [fa.ADAGRAD(params={"w": np.ones((2, 3)), "b": np.ones(2)}) for _ in range(2)]
    gradients = {"w": np.ones((2, 3)), "b": np.full(2, 2.0)}
    opts[0].step(gradients)
    opts[1].step(kind(gradients.values()))
    assert everything(opts[0]) == everything(opts[1])
    with pytest.raises(ValueError, match="gradients must hold 2 arrays, one a parameter, not 1"):
        opts[1].step(kind([gradients["w"]]))
