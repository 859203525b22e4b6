"""`iterate` and `minimize`: when they validate, when they stop, and what a run leaves."""

import math

import numpy as np
import pytest
from processes import run
from runs import TRAIN, VALID, bowl, scripted

import fastadagrad as fa


def test_epoch_pairs_and_validation_before_the_first_update():
    opt, w = scripted(range(100, 0, -1))
    seen = [(train["loss"], valid["loss"], -w[0].round(3)) for train, valid in opt.iterate(TRAIN, VALID, max_epochs=5)]
    assert seen == [(0.5, 100, 1), (0.5, 100, 2), (0.5, 100, 3), (0.5, 100, 4), (0.5, 99, 5)]
    assert [(e.epoch, e.steps, e.valid["loss"]) for e in opt.history] == [
        (1, 1, 100), (2, 2, 100), (3, 3, 100), (4, 4, 100), (5, 5, 99)
    ]  # fmt: skip
    assert (opt.best.loss, opt.best.epoch, opt.best.steps, opt.stopped_because) == (99, 5, 5, "max_epochs")


def test_validates_every_so_many_epochs():
    opt, _ = scripted(range(100, 0, -1), validate_every=3)
    pairs = [valid["loss"] for _, valid in opt.iterate(TRAIN, VALID, max_epochs=8)]
    assert pairs == [100, 100, 100, 99, 99, 99, 98, 97]  # the last: what has changed since is validated at the end


@pytest.mark.parametrize(
    ("losses", "patience", "min_improvement", "epochs", "best"),
    [
        ([5, 4, 6, 6], 0, 0, 2, 1),
        ([5, 5, 5, 5, 5, 5], 1, 0, 2, 0),
        ([5, 6, 4, 6, 6, 6, 6], 2, 0, 5, 2),
        ([5, 4.9, 4.4, 9, 9], 1, 0.1, 4, 2),
        ([5, 4.5, 9], 0, 0.1, 1, 1),
        ([5, 4.9, 4.8, 4.7, 4.85], 3, 0.1, 4, 3),
        ([-1, -1.05, -1.3, -1.31, 0], 1, 0.1, 4, 3),
        ([-1, -0.5, 0, 0], 0, 0, 1, 0),
        ([1, 2, 2, 2, 2, 2, 2, 2], 5, 0, 6, 0),
    ],
)
def test_patience(losses, patience, min_improvement, epochs, best):
    opt, w = scripted(losses, patience=patience, min_improvement=min_improvement, validate_every=1)
    assert len(list(opt.iterate(TRAIN, VALID))) == epochs
    assert opt.stopped_because == "patience"
    assert (opt.best.epoch, opt.best.loss) == (best, losses[best])
    assert w[0] == pytest.approx(-best, abs=1e-6)


def test_a_threshold_decides_when_to_stop_and_not_what_is_left():
    """One epoch after another, as many as were asked for: patience 0 and a threshold that nothing passes."""
    opt = fa.ADAGRAD(bowl, w := np.zeros(3), learning_rate=0.1)
    train, valid = opt.minimize(max_epochs=20, patience=0, min_improvement=0.9999, validate_every=20)
    assert valid["loss"] == bowl(w)[0] < train["loss"] < 27
    assert opt.best.steps == 20


def test_patience_may_be_changed_in_midrun():
    opt, _ = scripted([1] * 50, validate_every=1)
    for i, _ in enumerate(opt.iterate(TRAIN, VALID), 1):
        if i == 3:
            opt.hyper.patience = 9
    assert i == 10


def test_a_run_shorter_than_validate_every_keeps_its_progress():
    w = np.zeros(2)
    opt = fa.ADAGRAD(bowl, w, learning_rate=1.0)
    train, valid = opt.minimize(max_epochs=3)
    assert opt.best.steps == 3
    assert valid["loss"] == bowl(w)[0] < train["loss"] < 18


@pytest.mark.parametrize("max_updates", [0, 1, 4, 6, 8, 9])
def test_max_updates_is_exact(max_updates):
    """4 updates an epoch, of 3, 3, 3 and 1 samples."""
    seen = []

    def loss(w, x):
        return bowl(w)

    opt = fa.ADAGRAD(loss, np.zeros(1), updates=[(np.zeros(1), lambda w, x: seen.append(len(x)) or 0)])
    data = fa.Dataset(np.ones(10), batch_size=3, shuffle=False)
    train, valid = opt.minimize(data, max_updates=max_updates)
    assert opt.steps == max_updates == len(seen)
    assert seen == ([3, 3, 3, 1] * 3)[:max_updates]
    assert len(opt.history) == math.ceil(max_updates / 4)
    assert opt.stopped_because == "max_updates"
    assert (train is None) == (max_updates == 0)
    assert valid["loss"] > 0


@pytest.mark.parametrize("max_epochs", [0, 1, 3])
def test_max_epochs(max_epochs):
    opt = fa.ADAGRAD(bowl, np.zeros(1))
    pairs = list(opt.iterate(max_epochs=max_epochs))
    assert len(pairs) == opt.steps == len(opt.history) == max_epochs
    assert opt.best.loss <= 9
    assert opt.stopped_because == "max_epochs"


@pytest.mark.parametrize("name", ["max_updates", "max_epochs", "train_batches", "valid_batches"])
@pytest.mark.parametrize("limit", [-1, 1.5, True, "3", math.inf, math.nan, [1]])
def test_bad_limits(name, limit):
    error = ValueError if limit == -1 else TypeError
    with pytest.raises(error, match=f"^{name} must be a whole number of at least [01], not "):
        fa.ADAGRAD(bowl, np.zeros(1)).iterate(**{name: limit})


def test_means_weigh_by_sample():
    x = np.arange(10.0)

    def loss(w, x):
        return x.mean(), np.zeros(1)

    opt = fa.ADAGRAD(loss, np.zeros(1), monitors={"square": lambda w, x: (x**2).mean(), "one": lambda w, x: 1})
    data = fa.Dataset(x, batch_size=4)
    train, valid = next(opt.iterate(data, max_epochs=1))
    for means in (train, valid, opt.evaluate(data)):
        assert means == pytest.approx({"loss": 4.5, "square": 28.5, "one": 1.0}, rel=1e-14)
    across = fa.Dataset(np.tile(x, (3, 1)), batch_size=4, axis=1)
    assert opt.evaluate(across)["loss"] == pytest.approx(4.5, rel=1e-14)
    batches = [(0.0, x[:1]), (6.0, x[:2])]  # weighed by the first array that there is
    opt = fa.ADAGRAD(lambda w, a, b: (a, np.zeros(1)), np.zeros(1))
    assert opt.evaluate(batches)["loss"] == pytest.approx(4.0, rel=1e-14)


def test_scalar_batches_weigh_one():
    opt = fa.ADAGRAD(lambda w, a: (a, np.zeros(1)), np.zeros(1))
    values = iter([1.0, 2.0, 6.0])
    assert opt.evaluate(fa.Dataset(lambda: (next(values),), iteration_size=3))["loss"] == 3.0


def test_evaluate_updates_nothing_and_reads_in_storage_order():
    x, order = np.arange(6.0), []
    opt = fa.ADAGRAD(lambda w, x: (order.extend(x) or 1.0, np.ones(1)), np.zeros(1))
    data = fa.Dataset(x, batch_size=2, rng=0)
    before = data.state()
    opt.evaluate(data)
    assert order == x.tolist()
    assert data.state() == before
    assert (opt.steps, opt.history, opt.best) == (0, [], None)
    assert opt.evaluate(x) == {"loss": 1.0}


class TestContinuing:
    def test_a_second_iterate_goes_on(self):
        w, expected = np.zeros(2), np.zeros(2)
        opt, other = fa.ADAGRAD(bowl, w, momentum=0.5), fa.ADAGRAD(bowl, expected, momentum=0.5)
        opt.minimize(max_epochs=4)
        opt.minimize(max_epochs=3)
        other.minimize(max_epochs=7)
        assert w.tobytes() == expected.tobytes()
        assert opt.steps == len(opt.history) == 7

    def test_a_new_iterate_first_ends_an_unfinished_one(self):
        opt, w = scripted((3, 2, *[9] * 50), validate_every=1)
        old = opt.iterate(TRAIN, VALID)
        for _ in range(3):
            next(old)
        new = opt.iterate(TRAIN, VALID)
        next(new)
        assert w[0] > -4.1  # one step from the best, at -1
        assert list(old) == []
        assert opt.stopped_because is None
        new.close()
        assert opt.stopped_because == "closed"

    def test_nothing_happens_before_the_first_epoch_is_asked_for(self):
        w = np.zeros(1)
        opt = fa.ADAGRAD(bowl, w, learning_rate=0.5)
        opt.iterate(learning_rate=0.0)
        opt.step(np.ones(1))
        assert w.round(6) == -0.5

    @pytest.mark.parametrize("what", ["iterate", "load", "reset"])
    def test_a_run_cannot_be_ended_from_within(self, what, tmp_path):
        def loss(w):
            if opt.steps == 2:
                {"iterate": lambda: opt.minimize(), "load": lambda: opt.load(path), "reset": opt.reset}[what]()
            return bowl(w)

        opt = fa.ADAGRAD(loss, np.zeros(1))
        path = tmp_path / "file"
        opt.save(path)
        with pytest.raises(RuntimeError, match="called by"):
            opt.minimize(max_epochs=5)
        assert opt.stopped_because == "error"

    def test_reset_in_midrun(self):
        opt = fa.ADAGRAD(bowl, w := np.zeros(1), learning_rate=0.1)
        for i, _ in enumerate(opt.iterate(max_epochs=5)):
            if i == 2:
                at = w.copy()
                opt.reset()
        assert i == 2
        assert w.tolist() == at.tolist()
        assert (opt.steps, opt.history, opt.best) == (0, [], None)
        opt.minimize(max_epochs=2)
        assert opt.steps == 2


class TestHyperparametersForOneRun:
    def test_they_end_with_it(self):
        w = np.zeros(1)
        opt = fa.ADAGRAD(bowl, w, learning_rate=0.25)
        opt.minimize(max_epochs=1, learning_rate=0.5, patience=1)
        assert w.round(6) == 0.5
        assert (opt.hyper.learning_rate, opt.hyper.patience) == (0.25, 5)
        opt.reset()
        opt.step(np.ones(1))
        assert w.round(6) == 0.25

    def test_they_end_with_a_break_too(self):
        opt = fa.ADAGRAD(bowl, w := np.zeros(1), learning_rate=0.0)
        for _ in opt.iterate(learning_rate=0.5, momentum=0.9):
            break
        w[:] = 0
        opt.step(np.ones(1))
        assert w[0] == 0

    def test_a_change_for_good_in_midrun(self):
        opt = fa.ADAGRAD(bowl, np.zeros(1), learning_rate=0.5)
        for i, _ in enumerate(opt.iterate(max_epochs=3, learning_rate=0.25, momentum=0.5)):
            if i == 0:
                opt.hyper.learning_rate = 0.0
        assert (opt.hyper.learning_rate, opt.hyper.momentum) == (0.0, 0.0)
        assert opt.steps == 3

    def test_they_show_what_is_in_force(self):
        opt = fa.ADAGRAD(bowl, {"a": np.zeros(1)}, gradient=lambda p: p, learning_rate=0.5)
        opt._session.objective._loss = lambda p: bowl(p["a"])[0]
        run = {"learning_rate": 0.25, "momentum": 0.5, "patience": 2, "groups": {"a": {"l2": 0.0}}}
        epochs = opt.iterate(max_epochs=2, **run)
        assert opt.hyper.learning_rate == 0.5  # until it begins
        for _ in epochs:
            assert {name: opt.hyper[name] for name in run} == run
            assert dict(opt.hyper)["momentum"] == opt.hyper.momentum == 0.5
            assert "learning_rate=0.25" in repr(opt.hyper)
        assert (opt.hyper.learning_rate, opt.hyper.momentum, opt.hyper.patience, opt.hyper.groups) == (0.5, 0, 5, {})

    @pytest.mark.parametrize("name", ["learning_rate", "momentum", "rms_regularizer", "min_improvement"])
    def test_what_is_changed_goes_from_what_is_in_force(self, name):
        """And stays so after the run, as all that is set."""
        opt, other = (fa.ADAGRAD(bowl, np.zeros(2), **{name: 0.125}) for _ in range(2))
        for i, _ in enumerate(opt.iterate(max_epochs=4, **{name: 0.5})):
            if i == 1:
                setattr(opt.hyper, name, getattr(opt.hyper, name) * 0.5)
            assert opt.hyper[name] == (0.5 if i < 1 else 0.25)
        for value in (0.5, 0.25):
            other.minimize(max_epochs=2, **{name: value})
        assert opt.params["param0"].tobytes() == other.params["param0"].tobytes()
        assert (opt.hyper[name], other.hyper[name]) == (0.25, 0.125)

    @pytest.mark.parametrize("how", ["break", "error"])
    def test_what_was_not_changed_ends_with_the_run_however_it_ends(self, how):
        opt = fa.ADAGRAD(bowl, np.zeros(2), learning_rate=0.125)

        def run():
            for _ in opt.iterate(learning_rate=0.5, momentum=0.5):
                opt.hyper.momentum *= 0.5
                if how == "error":
                    raise ZeroDivisionError
                break

        if how == "error":
            with pytest.raises(ZeroDivisionError):
                run()
        else:
            run()
        assert (opt.hyper.learning_rate, opt.hyper.momentum) == (0.125, 0.25)

    def test_several_at_once_or_none(self):
        opt = fa.ADAGRAD(bowl, np.zeros(2), learning_rate=0.125)
        for _ in opt.iterate(max_epochs=1, learning_rate=0.5, momentum=0.25):
            with pytest.raises(ValueError, match="momentum"):
                opt.hyper.update(learning_rate=0.25, momentum=2)
            assert (opt.hyper.learning_rate, opt.hyper.momentum) == (0.5, 0.25)
            opt.hyper["momentum"] = 0.5
            assert (opt.hyper.learning_rate, opt.hyper.momentum) == (0.5, 0.5)
        assert (opt.hyper.learning_rate, opt.hyper.momentum) == (0.125, 0.5)

    def test_a_group_of_the_run(self):
        w = {"a": np.zeros(1), "b": np.zeros(1)}
        opt = fa.ADAGRAD(lambda p: (1.0, {"a": np.ones(1), "b": np.ones(1)}), w, rms_regularizer=0)
        opt._session.objective.value = lambda arguments: -float(opt.steps)
        for _ in opt.iterate(max_epochs=1, learning_rate=0.5, groups={"b": {"learning_rate": 0.25}}):
            opt.hyper.learning_rate *= 2
            opt.step({"a": np.zeros(1), "b": np.zeros(1)})
            assert opt.hyper.groups == {"b": {"learning_rate": 0.25}}
        assert [p[0] for p in w.values()] == [-0.5, -0.25]
        assert (opt.hyper.learning_rate, opt.hyper.groups) == (1.0, {})

    def test_what_shapes_the_state_holds_for_good(self):
        rows = fa.ADAGRAD(bowl, np.zeros((2, 3)))
        rows.minimize(max_epochs=1, accumulator="row", initial_accumulator_value=0.5)
        assert (rows.hyper.accumulator, rows.hyper.initial_accumulator_value) == ("row", 0.5)
        assert rows.state["param0"]["accumulator"].tolist() == [36.5, 36.5]
        for changed in ({"accumulator": "tensor"}, {"initial_accumulator_value": 0.0}):
            with pytest.raises(ValueError, match="state"):
                rows.minimize(max_epochs=1, **changed)
        assert rows.steps == 1

    @pytest.mark.parametrize(
        ("bad", "error"),
        [
            ({"learnin_rate": 1}, TypeError),
            ({"max_epoch": 1}, TypeError),
            ({"learning_rate": -1}, ValueError),
            ({"l1": 1.0, "momentum": 0.5}, ValueError),
            ({"max_global_norm": 1.0, "max_gradient_norm": 1.0}, ValueError),
            ({"groups": {"w": {}}}, TypeError),
            ({"accumulator": "row"}, ValueError),
            ({"batch_size": "many"}, TypeError),
        ],
    )
    def test_refused_when_called_and_nothing_changed(self, bad, error):
        opt = fa.ADAGRAD(bowl, np.zeros(()))
        before = dict(opt.hyper)
        with pytest.raises(error):
            opt.iterate(np.ones(4), **bad)
        assert dict(opt.hyper) == before
        assert opt.stopped_because is None


def test_updates_pairs_follow_each_step():
    w, seen, count = np.zeros(1), np.zeros(1), np.zeros(())
    updates = [
        (seen, lambda w, x: seen + w),
        (count, lambda w, x: count + len(x)),
        (w, lambda w, x: np.minimum(w, 0.25)),
    ]
    opt = fa.ADAGRAD(lambda w, x: bowl(w), w, learning_rate=0.2, rms_regularizer=0, updates=updates)
    for _ in opt.iterate(np.ones((8, 1)), batch_size=3, max_updates=4):
        pass
    p, G, total = 0.0, 0.0, 0.0
    for _ in range(4):
        g = 2 * (p - 3)
        G += g * g
        p -= 0.2 * g / math.sqrt(G)
        total += p
        p = min(p, 0.25)
    assert seen[0] == pytest.approx(total, rel=1e-12)
    assert count == 3 + 3 + 2 + 3
    assert w[0] == 0.25


@pytest.mark.parametrize("updates", [[np.zeros(1)], [(1.0, print)], [(np.zeros(1), 3)], [(np.zeros(1), print, 1)]])
def test_bad_updates(updates):
    with pytest.raises(TypeError, match="updates"):
        fa.ADAGRAD(bowl, np.zeros(1), updates=updates)


def test_read_only_update():
    frozen = np.broadcast_to(1.0, (3,))
    with pytest.raises(ValueError, match=r"updates.*read-only"):
        fa.ADAGRAD(bowl, np.zeros(1), updates=[(frozen, lambda w: 0)])


def test_no_loss():
    opt = fa.ADAGRAD(params=np.zeros(1))
    for call in (opt.iterate, opt.minimize, lambda: opt.evaluate(None)):
        with pytest.raises(RuntimeError, match="loss="):
            call()


def test_skipped_steps_in_a_run():
    gradients = iter([1.0, math.nan, 1.0])
    opt = fa.ADAGRAD(lambda w: (1.0, np.full(1, next(gradients))), np.zeros(1), nonfinite="skip")
    opt._session.objective.value = lambda arguments: 1.0
    opt.minimize(max_updates=3)
    assert (opt.steps, opt.skipped) == (2, 1)


def test_yielded_dicts_are_the_users():
    opt = fa.ADAGRAD(bowl, np.zeros(1))
    for train, valid in opt.iterate(max_epochs=3):
        train.clear()
        valid.clear()
    assert all(set(epoch.train) == set(epoch.valid) == {"loss"} for epoch in opt.history)


def test_progress_shows_on_stderr(capsys):
    opt = fa.ADAGRAD(bowl, np.zeros(1))
    pairs = list(opt.iterate(max_epochs=3, progress=True))
    captured = capsys.readouterr()
    assert len(pairs) == 3
    assert "3/3" in captured.err
    assert not captured.out


def test_nothing_is_printed():
    done = run("""
        import numpy as np
        import fastadagrad as fa
        def loss(w, x):
            return (np.nan if opt.steps == 3 else (w @ w)), 2 * w.astype(np.float32)
        opt = fa.ADAGRAD(loss, np.ones(2), nonfinite="skip")
        opt.minimize(np.ones(4), max_epochs=9, batch_size=2)
        assert opt.stopped_because == "non-finite loss"
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_batch_of_nothing_for_a_loss_without_data():
    def loss(w):
        return float(w @ w), 2 * w

    parameters = []
    for data in (None, [[]]):
        w = np.ones(2)
        opt = fa.SGD(loss, w, learning_rate=0.1)
        pairs = list(opt.iterate(data, max_epochs=3, validate_every=1))
        parameters.append((w.tolist(), opt.steps, pairs, opt.evaluate(data)))
    assert parameters[0] == parameters[1]
    assert fa.SGD(loss, np.ones(2)).minimize([[], []], max_epochs=3)[0]["loss"] > 0
    assert parameters[0][1] == 3
