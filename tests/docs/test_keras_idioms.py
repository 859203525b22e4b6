"""What users of Keras write, beside what they write here: rows of the table "Idioms" in docs/migrating/keras.md."""

import inspect

import numpy as np
import pytest
from conventions import rows
from pages import table

import fastadagrad as fa

ROWS, row = rows()
rng = np.random.default_rng(0)
X = rng.standard_normal((40, 3))
Y = X @ [1.0, 2.0, 3.0]


def loss(w, x, y):
    error = x @ w - y
    return error @ error / len(y), 2 * error @ x / len(y)


def made(**given):
    return fa.ADAGRAD(loss, np.zeros(3), **{"learning_rate": 0.5, **given})


@row("`model.fit(x, y, epochs=20)`", "`opt.minimize([x, y], max_epochs=20)`")
def test_fit():
    opt = made()
    _, valid = opt.minimize([X, Y], max_epochs=20, rng=0)
    assert (opt.stopped_because, opt.steps) == ("max_epochs", 20 * 2)
    assert valid["loss"] < loss(np.zeros(3), X, Y)[0] / 10


@row("`batch_size=32` by default", "the same")
def test_batch_size():
    assert inspect.signature(fa.Optimizer.minimize).parameters["batch_size"].default == 32
    assert fa.Dataset([X]).batch_size == 32


@row("`validation_data=(x2, y2)`", "the second argument of `minimize`: `[x2, y2]`")
def test_validation_data():
    opt = made()
    _, valid = opt.minimize([X[:30], Y[:30]], [X[30:], Y[30:]], max_epochs=3, rng=0)
    assert valid["loss"] == loss(opt.params["param0"], X[30:], Y[30:])[0]


@row("`validation_freq=5`", "`validate_every=5`; 10 by default")
def test_validation_freq():
    pairs = list(made().iterate([X, Y], max_epochs=11, validate_every=5, rng=0))
    fresh = [n for n, (_, valid) in enumerate(pairs) if n == 0 or valid != pairs[n - 1][1]]
    assert fresh == [0, 5, 10]
    assert inspect.signature(fa.ADAGRAD).parameters["validate_every"].default == 10


@row("`steps_per_epoch=100`", "`train_batches=100`")
def test_steps_per_epoch():
    opt = made()
    opt.minimize([X, Y], max_epochs=2, train_batches=3, batch_size=4, rng=0)
    assert opt.steps == 6


@row(
    "`EarlyStopping(patience=5, restore_best_weights=True)`",
    "`patience=5`; the best parameters are always restored",
)
def test_early_stopping():
    opt = made(learning_rate=100.0)
    opt.minimize([X, Y], patience=1, validate_every=1, max_epochs=50, rng=0)
    assert opt.stopped_because == "patience"
    assert opt.evaluate([X, Y])["loss"] == opt.best.loss
    assert inspect.signature(fa.ADAGRAD).parameters["patience"].default == 5


@row("`metrics=[f]`", '`monitors={"f": f}`, a function of the parameters and a batch')
def test_metrics():
    opt = made(monitors={"largest": lambda w, x, y: abs(x @ w - y).max()})
    train, valid = opt.minimize([X, Y], max_epochs=1, rng=0)
    assert {*train} == {*valid} == {"loss", "largest"}


@row("`model.evaluate(x, y)`", "`opt.evaluate([x, y])`")
def test_evaluate():
    found = made().evaluate([X, Y])["loss"]
    assert found == pytest.approx(np.square(Y).mean(), rel=1e-15)


@row("`history.history`", "`opt.history`, an entry for each epoch")
def test_history():
    opt = made()
    opt.minimize([X, Y], max_epochs=4, rng=0)
    assert len(opt.history) == 4


@row(
    "`optimizer.learning_rate = 0.1`",
    "`opt.hyper.learning_rate = 0.1`; `opt.learning_rate = 0.1` is refused and says so",
)
def test_rate():
    opt = made()
    opt.hyper.learning_rate = 0.1
    assert opt.hyper.learning_rate == 0.1
    with pytest.raises(AttributeError, match=r"opt\.hyper\.learning_rate"):
        opt.learning_rate = 0.2


@row("a `LearningRateSchedule`", "`learning_rate=lambda t: ...`, of the number of the step")
def test_schedule():
    seen = set()
    opt = made(learning_rate=lambda t: seen.add(t) or 0.5 / (1 + t))
    opt.minimize([X, Y], max_updates=3, rng=0)
    assert seen == {0, 1, 2}


@row("`layer.trainable = False`", '`groups={"b": {"frozen": True}}`')
def test_frozen():
    opt = fa.ADAGRAD(params={"w": np.zeros(2), "b": np.zeros(2)}, groups={"b": {"frozen": True}}, learning_rate=0.1)
    opt.step({"w": np.ones(2), "b": np.ones(2)})
    assert (opt.params["w"].all(), opt.params["b"].any()) == (True, False)


@row("`optimizer.apply(gradients)`", "`opt.step(gradients)`")
def test_apply():
    opt = fa.ADAGRAD(params=np.zeros(2), learning_rate=0.1, rms_regularizer=0.0)
    opt.step(np.array([3.0, -4.0]))
    assert opt.params["param0"].tolist() == pytest.approx([-0.1, 0.1], rel=1e-15)


@row("`ModelCheckpoint(path)`", "`opt.save(path)` in the loop over `opt.iterate(...)`")
def test_checkpoint(tmp_path):
    opt = made()
    for _ in opt.iterate([X, Y], max_epochs=2, rng=0):
        opt.save(tmp_path / "checkpoint")
    other = made()
    other.load(tmp_path / "checkpoint")
    assert other.steps == opt.steps == 4


def test_the_table_has_these_rows():
    assert table("migrating/keras.md", "Idioms") == list(ROWS.values())
