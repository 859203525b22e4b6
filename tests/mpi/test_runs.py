"""Runs of several processes, for which threads stand in: those of one process, up to rounding."""

import numpy as np
import pytest
from in_step import run

import fastadagrad as fa

RNG = np.random.default_rng(0)
X = RNG.standard_normal((501, 7))
Y = (X @ np.arange(7.0) > 0) * 1.0
ROWS, LABELS = RNG.integers(0, 2000, 499), RNG.standard_normal(499)


def logistic(p, x, y):
    z = np.logaddexp(0, -(2 * y - 1) * (x @ p["w"] + p["b"]))
    slopes = -(2 * y - 1) * (1 - np.exp(-z)) / len(y)
    return z.mean(), {"w": x.T @ slopes, "b": slopes.sum(keepdims=True)}


def accuracy(p, x, y):
    return ((x @ p["w"] + p["b"] > 0) == (y > 0)).mean()


def train(comm, **how):
    params = {"w": np.zeros(7), "b": np.zeros(1)}
    among = {} if comm is None else {"comm": comm}
    opt = fa.ADAGRAD(logistic, params, learning_rate=0.5, monitors={"accuracy": accuracy}, **among)
    valid = [X[:100], Y[:100]]
    told = [[*t.values(), *v.values()] for t, v in opt.iterate([X, Y], valid, max_epochs=4, batch_size=50, **how)]
    return params["w"], told, opt.steps, opt.stopped_because, opt.evaluate([X, Y])["loss"]


@pytest.mark.parametrize("size", [2, 3, 7])
def test_the_run_of_one_process(size):
    w, told, *ended, loss = train(None, rng=0)
    found = run(size, lambda comm: train(comm, rng=0))
    for own, own_told, *own_ended, own_loss in found:
        np.testing.assert_allclose(own, w, rtol=1e-9)
        np.testing.assert_allclose(own_told, told, rtol=1e-9)
        assert own_ended == ended
        assert own.tobytes() == found[0][0].tobytes()
        assert (own_told, own_loss) == (found[0][1], found[0][-1])
        assert own_loss == pytest.approx(loss, rel=1e-9)


def test_one_random_order_where_none_is_given():
    found = run(3, train)
    assert len({w.tobytes() for w, *_ in found}) == 1


def test_sums_of_losses_and_gradients():
    def total(p, x, y):
        loss, slopes = logistic(p, x, y)
        return loss * len(y), {name: slope * len(y) for name, slope in slopes.items()}

    def train_on_sums(comm):
        params = {"w": np.zeros(7), "b": np.zeros(1)}
        among = {} if comm is None else {"comm": comm, "reduction": "sum"}
        opt = fa.SGD(total, params, learning_rate=0.01, **among)
        train, _ = opt.minimize([X, Y], max_epochs=2, batch_size=50, rng=0)
        return params["w"], train["loss"]

    w, loss = train_on_sums(None)
    for own, own_loss in run(3, train_on_sums):
        np.testing.assert_allclose(own, w, rtol=1e-12)
        assert own_loss == pytest.approx(loss, rel=1e-12)


@pytest.mark.parametrize("touches", [lambda rows, labels: {"param0": rows}, None])
@pytest.mark.parametrize("size", [2, 7])
def test_rows(size, touches):
    def loss(p, rows, labels):
        error = p[rows].sum(axis=1) - labels
        return float(np.mean(error**2)), fa.Rows(rows, np.repeat(2 * error[:, None] / len(labels), 8, axis=1))

    def train_rows(comm):
        p = np.zeros((2000, 8))
        among = {} if comm is None else {"comm": comm}
        opt = fa.ADAGRAD(loss, p, learning_rate=0.1, decoupled_weight_decay=0.01, **among)
        opt.minimize([ROWS, LABELS], max_epochs=2, batch_size=5, validate_every=10, rng=0, touches=touches)
        return p

    expected = train_rows(None)
    for p in run(size, train_rows):  # some of seven have no sample of a batch of five
        np.testing.assert_allclose(p, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("samples", [40, 33])  # of 33 the last batch has one, so that two processes have none
def test_hessian_vector_products(samples):
    def train_esgd(comm):
        w = np.array([3.0, -2.0])
        among = {} if comm is None else {"comm": comm}
        opt = fa.ESGD(
            lambda w, x: (0.5 * np.mean(x) * w @ w, np.mean(x) * w),
            w,
            hv=lambda w, v, x: np.mean(x) * v,
            hv_rng=4,
            **among,
        )
        opt.minimize([np.arange(1.0, samples + 1.0)], max_epochs=3, rng=0)
        return w

    expected = train_esgd(None)
    for w in run(3, train_esgd):
        np.testing.assert_allclose(w, expected, rtol=1e-12)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_what_cannot_be_divided_is_computed_once(reduction):
    prior = np.arange(10.0)

    def train_whole(comm):
        w, v = np.ones(3), np.ones(3)
        among = {} if comm is None else {"comm": comm, "reduction": reduction}
        opt = fa.SGD(lambda w: (w @ w, 2 * w), w, learning_rate=0.1, **among)
        train, _ = opt.minimize(max_updates=2)
        both = fa.SGD(lambda v, x, p: (p.sum() + x.mean(), v * p.sum()), v, learning_rate=0.01, **among)
        found, _ = both.minimize(lambda: (np.ones(32), prior), train_batches=2, valid_batches=1, max_epochs=1)
        return w.tolist(), v.tolist(), train["loss"], found["loss"]

    assert run(3, train_whole) == [train_whole(None)] * 3


def test_data_of_its_own_in_each_process():
    def train_apart(comm):
        opt = fa.SGD(lambda w, x: ((x @ w).mean(), x.mean(axis=0)), np.zeros(2), learning_rate=0.1, comm=comm)
        with pytest.raises(ValueError, match="the batches of the processes differ"):
            opt.minimize([np.arange(80.0).reshape(40, 2)[comm.rank :: 2]], max_epochs=1, rng=0)

    run(2, train_apart)


def test_an_update_after_an_evaluation_is_the_plain_mean():
    def update(comm):
        w = np.zeros(3)
        opt = fa.SGD(lambda w, x: (0.0, w), w, learning_rate=1.0, comm=comm)
        opt.evaluate([np.ones(3)])
        dict(opt.get_updates())["param0"](np.full(3, float(comm.rank)))
        return w.tolist()

    assert run(2, update) == [[-0.5] * 3] * 2


def test_parameters_that_are_set_are_those_of_process_0():
    def set_params(comm):
        w = np.zeros(3)
        fa.SGD(params=w, learning_rate=1.0, comm=comm).set_params([comm.rank + 1.0] * 3)
        return w.tolist()

    assert run(3, set_params) == [[1.0] * 3] * 3


def test_a_mean_of_16_bits_does_not_overflow():
    def step(comm):
        w = np.zeros(3, np.float16)
        fa.SGD(params=w, learning_rate=0.5, comm=comm).step(np.full(3, 40_000, np.float16))
        return w.tolist()

    assert run(3, step) == [[-20_000.0] * 3] * 3


@pytest.mark.parametrize("process", [0, 2])
def test_what_one_process_raises_ends_all(process):
    def train_badly(comm):
        def loss(w, x):
            if comm.rank == process and opt.steps == 2:
                raise KeyError("no such sample")
            return float(w @ w), 2 * w

        opt = fa.SGD(loss, np.ones(3), comm=comm)
        with pytest.raises(KeyError, match="no such sample"):
            opt.minimize([np.arange(60.0)], max_epochs=2, batch_size=10, rng=0)
        return opt.steps

    assert run(3, train_badly) == [2, 2, 2]


def test_other_orders_in_one_process():
    def train_apart(comm):
        with pytest.raises(ValueError, match="stands at different places in different processes"):
            train(comm, rng=comm.rank)

    run(2, train_apart)
