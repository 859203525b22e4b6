"""`save` and `load`: the same bits as never having stopped, and no change where a file does not fit."""

import gzip
import io
import json
import zipfile

import numpy as np
import pytest
from checkpoints import NAMES, Model, X, Y, bytes_of, trained

import fastadagrad as fa
from fastadagrad.support import array_file


@pytest.fixture(scope="module")
def uninterrupted():
    model = Model()
    pairs = model.train(max_updates=43)
    return model, pairs


@pytest.mark.parametrize("epoch", [1, 2, 4, 5, 8])
def test_saved_at_an_epoch(epoch, path, uninterrupted):
    model = Model()
    for i, _ in enumerate(model.opt.iterate(model.data, (X, Y), max_updates=43, **Model.RUN), 1):
        if i == epoch:
            model.opt.save(path)
            break
    fresh = Model(rng=99)
    fresh.opt.load(path)
    rest = fresh.train(max_updates=43)
    assert rest == uninterrupted[1][epoch:]
    assert fresh.everything() == uninterrupted[0].everything()


@pytest.mark.parametrize("update", [1, 7, 10, 12, 43])
def test_saved_in_mid_epoch_from_an_update(update, path, uninterrupted):
    def saver(model):
        if model.opt.steps == update:
            model.opt.save(path)

    Model(saver=saver).train(max_updates=43)
    fresh = Model(rng=99)
    fresh.opt.load(path)
    fresh.opt.save(path)  # what is not taken up yet is not lost
    fresh = Model(rng=98)
    fresh.opt.load(path)
    fresh.train(max_updates=43)
    assert fresh.everything() == uninterrupted[0].everything()


@pytest.mark.parametrize("data", ["no data", "iterable", "callable", "short epochs"])
@pytest.mark.parametrize("update", range(1, 7))
def test_saved_in_mid_epoch_of_other_data(data, update, path):
    def make(saving):
        kinds = {
            "no data": lambda: None,
            "iterable": lambda: [(np.full(2, i),) for i in range(3)],
            "callable": lambda: fa.Dataset(lambda: (np.ones(2),), iteration_size=3),
            "short epochs": lambda: fa.Dataset(np.arange(10.0), batch_size=2, iteration_size=3, rng=3),
        }
        w = np.zeros(1)
        save = (np.zeros(1), lambda w, *x: (saving and opt.steps == update and opt.save(path)) or 0)
        opt = fa.ADAGRAD(lambda w, *x: (1 + sum(map(np.sum, x)), np.ones(1)), w, updates=[save], learning_rate=0.1)
        return opt, w, kinds[data]()

    opt, w, data_of = make(saving=True)
    opt.minimize(data_of, np.ones(3), max_updates=10)
    fresh, v, data_of = make(saving=False)
    fresh.load(path)
    fresh.minimize(data_of, np.ones(3), max_updates=10)
    assert fresh.history == opt.history
    assert v.tobytes() == w.tobytes()


@pytest.mark.parametrize("max_updates", [5, 7, 10])
def test_saved_between_runs(max_updates, path):
    """Also where the run has ended in mid-epoch: the next one begins an epoch either way."""
    model, fresh = Model(), Model(rng=99)
    model.train(max_updates=max_updates)
    model.opt.save(path)
    fresh.opt.load(path)
    assert fresh.everything() == model.everything()
    for each in (model, fresh):
        each.train(max_updates=11)
    assert fresh.everything() == model.everything()


def test_saved_between_steps(path):
    model, fresh = Model(), Model()
    for each in (model, fresh):
        each.opt.hyper.momentum = 0.5
    g = {name: np.full(shape, 0.5) for name, shape in NAMES.items()}
    for _ in range(5):
        model.opt.step(g)
    model.opt.save(path)
    fresh.opt.load(path)
    for each in (model, fresh):
        for _ in range(5):
            each.opt.step(g)
    assert fresh.everything() == model.everything()


def test_a_velocity_is_loaded_where_there_was_none_and_the_other_way_round(path):
    moving, plain = fa.ADAGRAD(params=np.zeros(2), momentum=0.9), fa.ADAGRAD(params=np.zeros(2))
    for opt in (moving, plain):
        opt.step(np.ones(2))
    moving.save(path)
    with pytest.warns(UserWarning, match=r"momentum was 0.9 and is 0.0;"):
        plain.load(path)
    plain.hyper.momentum = 0.9
    plain.step(np.ones(2))
    moving.step(np.ones(2))
    assert plain.params["param0"].tobytes() == moving.params["param0"].tobytes()
    fresh = fa.ADAGRAD(params=np.zeros(2))
    fresh.step(np.ones(2))
    fresh.save(path)
    with pytest.warns(UserWarning, match=r"momentum was 0.0 and is 0.9;"):
        moving.load(path)
    assert moving.state["param0"]["velocity"].tolist() == [0, 0]


def test_early_stopping_ends_at_the_same_epoch(path):
    class Scripted:
        def __init__(self, start):
            self.losses = iter([5, 4, 6, 6, 3, 6, 6, 6, 6][start:])
            self.opt = fa.ADAGRAD(
                lambda w, x: next(self.losses) if x[0] else 1.0,
                np.zeros(1),
                gradient=lambda w, x: np.ones(1),
                validate_every=1,
                patience=3,
            )

        def iterate(self):
            return self.opt.iterate([(np.zeros(1),)], [(np.ones(1),)])

    whole = Scripted(0)
    assert len(list(whole.iterate())) == 8
    for cut in range(1, 8):
        first, second = Scripted(0), Scripted(cut)
        for i, _ in enumerate(first.iterate(), 1):
            if i == cut:
                first.opt.save(path)
                break
        second.opt.load(path)
        assert len(list(second.iterate())) == 8 - cut
        assert second.opt.stopped_because == "patience"
        assert second.opt.best == whole.opt.best
        assert second.opt.history == whole.opt.history
        assert second.opt.params["param0"].tobytes() == whole.opt.params["param0"].tobytes()


def test_a_file_from_before_the_lowest_loss_was_kept_apart(path, uninterrupted):
    """Then what counted was what was remembered."""
    model = Model()
    epochs = model.opt.iterate(model.data, (X, Y), max_updates=43, **Model.RUN)
    for _ in range(4):
        next(epochs)
    model.opt.save(path)
    header, arrays = array_file.read(path, "optimizer")
    del header["run"]["patience"]["lowest"]
    array_file.write(path, "optimizer", header, arrays)
    fresh = Model(rng=99)
    fresh.opt.load(path)
    fresh.train(max_updates=43)
    assert fresh.everything() == uninterrupted[0].everything()


def test_what_minimize_returns_after_the_last_epoch(path):
    whole, fresh = Model(), Model()
    for _ in whole.opt.iterate(whole.data, (X, Y), max_epochs=3):
        whole.opt.save(path)
    fresh.opt.load(path)
    train, valid = fresh.opt.minimize(fresh.data, (X, Y), max_epochs=3)
    assert (train, valid) == (whole.opt.history[-1].train, whole.opt.best.monitors)
    assert fresh.everything() == whole.everything()


def test_best_and_history_survive(path):
    model, fresh = Model(), Model()
    model.train(max_epochs=4)
    model.opt.save(path)
    fresh.opt.load(path)
    best = [array.copy() for array in model.params.values()]
    for array in fresh.params.values():
        array[...] = 9
    fresh.opt.set_params()
    assert [a.tobytes() for a in fresh.params.values()] == [a.tobytes() for a in best]
    assert fresh.opt.history == model.opt.history
    assert fresh.opt.best == model.opt.best


def test_monitors_that_are_not_finite_survive(path):
    opt = fa.ADAGRAD(lambda w: (1.0, np.ones(1)), np.zeros(1), monitors={"m": lambda w: np.nan, "n": lambda w: -np.inf})
    opt.minimize(max_epochs=1)
    opt.save(path)
    opt.load(path)
    assert np.isnan(opt.history[0].train["m"])
    assert opt.history[0].train["n"] == -np.inf


class TestDatasets:
    """The order of two Datasets, by what they are called."""

    def order(self, data):
        return [y.tolist() for _, y in data]

    def saved(self, path, name):
        model = Model(name=name)
        epochs = model.opt.iterate(model.data, (X, Y), **Model.RUN)
        next(epochs)
        model.opt.save(path)
        epochs.close()
        return self.order(model.data)

    @pytest.mark.parametrize(("saved", "now"), [("a", "a"), ("a", "b"), (None, None), ("a", None), (None, "a")])
    def test_by_name_else_by_role(self, saved, now, path):
        expected = self.saved(path, saved)
        fresh = Model(rng=99, name=now)
        fresh.opt.load(path)
        next(fresh.opt.iterate(fresh.data, (X, Y), max_updates=0, **Model.RUN), None)
        assert self.order(fresh.data) == expected

    def test_the_name_goes_before_the_role(self, path):
        expected = self.saved(path, "a")
        fresh = Model(rng=99, name="b")
        validating = fa.Dataset([X, Y], name="a", batch_size=5, rng=98)
        fresh.opt.load(path)
        next(fresh.opt.iterate(fresh.data, validating, max_updates=0, **Model.RUN), None)
        assert self.order(validating) == expected

    def test_other_data_are_refused_in_midrun_unless_told(self, path):
        self.saved(path, "a")
        fresh = Model(rng=99)
        fresh.opt.load(path)
        with pytest.raises(ValueError, match="resume=False"):
            fresh.opt.minimize((X[:9], Y[:9]), max_epochs=2)
        assert fresh.opt.steps == 5
        with pytest.warns(UserWarning, match=r"momentum was 0.9 and is 0.0, patience was 1 and is 5"):
            fresh.opt.load(path, resume=False)
        fresh.opt.minimize((X[:9], Y[:9]), max_epochs=2)
        assert fresh.opt.steps == 7
        assert [epoch.epoch for epoch in fresh.opt.history] == [1, 1, 2]

    def test_neither_is_moved_where_one_is_refused(self, path):
        self.saved(path, "a")
        fresh = Model(rng=99, name="a")
        before = fresh.data.state()
        fresh.opt.load(path)
        with pytest.raises(ValueError, match="valid: the iteration that was saved goes on with other data"):
            fresh.opt.minimize(fresh.data, (X[:9], Y[:9]), **Model.RUN)
        assert fresh.data.state() == before

    def test_other_data_are_fine_after_a_run_has_ended(self, path):
        model = Model()
        model.train(max_epochs=1)
        model.opt.save(path)
        fresh = Model()
        fresh.opt.load(path)
        fresh.opt.minimize((X[:9], Y[:9]), max_epochs=2)
        assert fresh.opt.steps == 7


def other_method(header, arrays):
    header["method"] = "adam"


def fewer_names(header, arrays):
    header["names"] = header["names"][:-1]


def no_ledger(header, arrays):
    del header["ledger"]


def odd_ledger(header, arrays):
    header["ledger"]["surprise"] = 1


def other_shape(header, arrays):
    arrays["best/w/eights"] = np.zeros(4)


def other_dtype(header, arrays):
    arrays["velocity/w/eights"] = np.zeros(3, np.float32)


def no_parameter(header, arrays):
    del arrays["param/param/x"]


def no_accumulator(header, arrays):
    del arrays["accumulator/param/x"]


CHANGES = [other_method, fewer_names, no_ledger, odd_ledger, other_shape, other_dtype, no_parameter, no_accumulator]


@pytest.mark.parametrize("change", CHANGES)
def test_what_does_not_fit_changes_nothing(change, path):
    model = Model()
    model.train(max_epochs=2)
    model.opt.save(path)
    header, arrays = array_file.read(path, "optimizer")
    change(header, arrays)
    array_file.write(path, "optimizer", header, arrays)
    model = Model()
    epochs = model.opt.iterate(model.data, (X, Y), **Model.RUN)
    for _ in range(3):
        next(epochs)
    before = model.everything()
    with pytest.raises(ValueError, match="file"):
        model.opt.load(path)
    assert model.everything() == before
    next(epochs)  # not even the running iteration has been ended
    assert model.opt.steps == 20


@pytest.mark.parametrize("kind", ["truncated", "foreign", "zip", "newer", "model", "absent"])
def test_no_such_file_changes_nothing(kind, path):
    model = Model()
    model.opt.save(path)
    content = path.read_bytes()
    if kind == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "foreign":
        path.write_bytes(b"import this\n" * 50)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("header.json", "{}")
    elif kind == "newer":
        about = {"format": "fastadagrad", "version": 999, "kind": "optimizer", "arrays": [], "header": {}}
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("header.json", json.dumps(about))
    elif kind == "model":
        array_file.write(path, "model", {}, {})
    else:
        path.unlink()
    before = model.everything()
    with pytest.raises(OSError if kind == "absent" else ValueError):
        model.opt.load(path)
    assert model.everything() == before


@pytest.mark.parametrize(
    "other",
    [
        {"params": {"w": np.zeros(4)}},
        {"params": {"w": np.zeros(3, np.float32)}},
        {"params": {"v": np.zeros(3)}},
        {"params": [np.zeros(3)]},
        {"params": {"w": np.zeros(3), "v": np.zeros(3)}},
        {"params": {"w": np.zeros(3)}, "accumulator": "tensor"},
    ],
)
def test_other_parameters_are_refused(other, path):
    fa.ADAGRAD(params={"w": np.ones(3)}).save(path)
    opt = fa.ADAGRAD(**other)
    with pytest.raises(ValueError, match="file"):
        opt.load(path)
    assert not any(array.any() for array in opt.params.values())


def test_thawed_since(path):
    params = {"w": np.zeros(2), "f": np.ones(2)}
    opt = fa.ADAGRAD(params=params, groups={"f": {"frozen": True}})
    opt.step({"w": np.ones(2), "f": None})
    opt.save(path)
    with pytest.raises(ValueError, match=r"'f', frozen"):
        fa.ADAGRAD(params=params).load(path)
    fa.ADAGRAD(params=params, groups={"f": {"frozen": True}}).load(path)
    opt.hyper.groups = {}
    opt.step({"w": np.ones(2), "f": np.ones(2)})
    opt.save(path)
    again = fa.ADAGRAD(params={"w": np.zeros(2), "f": np.zeros(2)}, groups={"f": {"frozen": True}})
    with pytest.warns(UserWarning, match="frozen of 'f' was False and is True"):
        again.load(path)  # the accumulator of what is frozen now is kept
    assert again.state["f"]["accumulator"].tolist() == [1, 1]


def test_counts_of_updates_are_saved(path):
    opt, fresh = fa.ADAGRAD(params=np.zeros(2)), fa.ADAGRAD(params=np.zeros(2))
    [(_, update)] = opt.get_updates()
    update(np.ones(2))
    opt.save(path)
    fresh.load(path)
    assert next(fresh.get_updates())[1].steps == 1


def test_loading_in_midrun_ends_it(path):
    model = Model()
    model.opt.save(path)
    for i, _ in enumerate(model.opt.iterate(model.data, (X, Y)), 1):
        if i == 2:
            model.opt.load(path)
    assert i == 2
    assert model.opt.steps == 0
    assert not any(array.any() for array in model.params.values())


def test_numbers_of_datasets_are_no_names(tmp_path):
    """In another process other Datasets may have them: those without a name of their own go by their roles."""

    def optimizer():
        return fa.SGD(lambda w, x: (float(x.sum() * w[0]), np.ones(1)), np.zeros(1), learning_rate=0.1)

    def data(*names):
        return [
            fa.Dataset(np.arange(float(n)), name, batch_size=1, rng=n) for n, name in zip((5, 7), names, strict=True)
        ]

    opt, (train, valid) = optimizer(), data(None, None)
    epochs = opt.iterate(train, valid, max_epochs=4)
    next(epochs)
    opt.save(tmp_path / "file")
    expected = [next(epochs) for _ in range(2)]
    for names in ((None, None), (valid.name, train.name)):
        other = optimizer()
        other.load(tmp_path / "file")
        again = other.iterate(*data(*names), max_epochs=4)
        assert [next(again) for _ in range(2)] == expected


def test_file_objects(path):
    opt = trained({"a": np.ones(2)}, learning_rate=0.1)
    with gzip.open(path, "wb") as file:
        opt.save(file)
    other = fa.ADAGRAD(params={"a": np.zeros(2)}, learning_rate=0.1)
    with gzip.open(path, "rb") as file:
        other.load(file)
    assert bytes_of(other, "a") == bytes_of(opt, "a")
    with pytest.raises(TypeError, match="open in text mode"):
        opt.save(io.StringIO())


def test_where_slots_place_a_parameter_that_was_set(path):
    """It is elsewhere until its next step, which a file does not forget."""
    tables = np.zeros((4, 2)), np.zeros((4, 2))
    opt, other = (fa.COCOB(params=table) for table in tables)
    for i in range(3):
        opt.step(fa.Rows(np.array([i]), np.ones((1, 2))))
    opt.set_params(np.full((4, 2), 3.0))
    opt.save(path)
    other.load(path)
    for each in (opt, other):
        each.step(fa.Rows(np.array([1]), np.ones((1, 2))))
    assert tables[0].tobytes() == tables[1].tobytes()
