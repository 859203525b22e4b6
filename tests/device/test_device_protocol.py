"""Files, losses, iteration and targets where parameters are device arrays."""

import copy
import pickle

import numpy as np
import pytest
from oracle import bits_differ
from pairs import F4, assert_same, pair, step_both

import fastadagrad as fa
from fastadagrad.device.arrays import as_device_array


@pytest.mark.parametrize("hyper", [{}, {"momentum": 0.9, "initial_accumulator_value": 0.1}], ids=str)
def test_files_go_from_one_to_the_other(gpu, tmp_path, hyper):
    opt, arrays, other, params, rng = pair(gpu, **hyper)
    step_both(gpu, opt, other, params, rng, 2)
    opt.save(tmp_path / "device")
    other.save(tmp_path / "host")
    back, arrays, forth, params, rng = pair(gpu, seed=5, **hyper)
    back.load(tmp_path / "host")
    forth.load(tmp_path / "device")
    step_both(gpu, back, forth, params, rng, 2)
    assert_same(arrays, params)
    assert back.steps == forth.steps == 4


X = np.random.default_rng(7).standard_normal((23, 3))
Y = X @ np.array([1.0, -2.0, 0.5]) + 0.1


def host_loss(p, x, y):
    error = x @ p["w"] + p["b"] - y
    return (error**2).mean(), {"w": 2 * error @ x / len(x), "b": np.array(2 * error.mean())}


def train(gpu=None, steps=3, **kwargs):
    """Train on the GPU, if there is one, with a loss that gives its results there, else on the host."""
    params = {"w": np.zeros(3), "b": np.zeros(())}
    given = {name: gpu.array(p) for name, p in params.items()} if gpu else params

    def loss(p, x, y):
        value, gradients = host_loss({name: a.numpy() for name, a in p.items()} if gpu else p, x, y)
        if gpu:
            return gpu.array(value), {name: gpu.array(g) for name, g in gradients.items()}
        return value, gradients

    opt = fa.ADAGRAD(loss, given, learning_rate=0.5, monitor_gradients=True, **kwargs)
    results = list(opt.iterate((X, Y), max_epochs=steps, batch_size=5, rng=1, validate_every=1))
    return opt, {name: p.numpy() if gpu else p for name, p in given.items()}, results, given


def test_a_loss_on_the_gpu(gpu):
    opt, params, results, arrays = train(gpu)
    other, expected, expected_results, _ = train()
    for name, p in expected.items():
        assert bits_differ(params[name], p) == 0
    for (a, b), (c, d) in zip(results, expected_results, strict=True):
        assert a == pytest.approx(c, rel=1e-12)
        assert b == pytest.approx(d, rel=1e-12)
    assert opt.best.loss == other.best.loss
    assert all(gpu.holds(best.address) for best in opt._session.ledger.best_arrays)
    for array in arrays.values():
        array.set(np.full(array.shape, 9.0))
    opt.set_params()
    for name, p in expected.items():
        assert bits_differ(arrays[name].numpy(), p) == 0
    assert opt.evaluate((X, Y)) == pytest.approx(other.evaluate((X, Y)), rel=1e-12)


@pytest.mark.parametrize("first", ["device", "host"])
def test_a_run_goes_on_in_the_other_place(gpu, tmp_path, first):
    """Its checkpoints are of either, and the bits are those of a run that was never left."""

    def trained(there, stop=None, **more):
        place = gpu.array if there else np.asarray
        w = place(np.zeros(3))

        def loss(w, x, y):
            error = x @ (w.numpy() if there else w) - y
            return place((error**2).mean()), place(2 * error @ x / len(x))

        opt = fa.Adam(loss, w, learning_rate=0.1, momentum=0.5)
        for _ in opt.iterate((X, Y), max_epochs=5, batch_size=5, rng=1, validate_every=2, patience=9, **more):
            opt.hyper.learning_rate *= 0.9
            if len(opt.history) == stop:
                break
        return w.numpy() if there else w

    trained(first == "device", stop=3, checkpoint=tmp_path)
    found = trained(first == "host", checkpoint=tmp_path, resume=True)
    assert bits_differ(found, trained(False)) == 0
    assert bits_differ(found, trained(True)) == 0


def test_batches_on_the_gpu(gpu):
    """Slices of device arrays, in an order that can be repeated."""
    results = []
    for there in (True, False):
        w = np.zeros(3)
        place = gpu.array if there else np.asarray

        def loss(w, x, y, place=place, there=there):
            assert not there or all(gpu.holds(a.address) for a in (x, y))
            w, x, y = (a.numpy() if there else a for a in (w, x, y))
            error = x @ w - y
            return place((error**2).mean()), place(2 * error @ x / len(x))

        data = fa.Dataset([place(X), place(Y)], batch_size=5, shuffle="batches", rng=3)
        array = place(w)
        fa.ADAGRAD(loss, array, learning_rate=0.5).minimize(data, max_epochs=3)
        results.append(array.numpy() if there else w)
    assert bits_differ(*results) == 0


def test_the_best_of_a_file_is_the_best_on_the_gpu(gpu, tmp_path):
    other, expected, *_ = train()
    other.save(tmp_path / "file")
    opt, *_, arrays = train(gpu, steps=0)
    opt.load(tmp_path / "file")
    opt.set_params("best")
    for name, p in expected.items():
        assert bits_differ(arrays[name].numpy(), p) == 0


def test_targets_from_anywhere(gpu):
    opt, arrays, *_ = pair(gpu)
    numbers = [np.arange(33), np.arange(20.0).reshape(4, 5)]
    for targets in (numbers, [gpu.array(x.astype(F4)) for x in numbers], [gpu.array(x) for x in numbers]):
        for array in arrays:
            array.set(np.zeros(array.shape))
        opt.set_params(targets)
        assert_same(arrays, [x.astype(F4) for x in numbers])
    with pytest.raises(ValueError, match="holds numbers that float32 cannot hold"):
        opt.set_params([gpu.array(np.full(33, 1e300)), numbers[1]])


def test_autograd_has_no_gradients_of_device_arrays(gpu):
    opt = fa.ADAGRAD(lambda p: gpu.array(np.ones(())), gpu.array(np.ones(3)), gradient="autograd")
    with pytest.raises(TypeError, match="device arrays cannot be derived"):
        opt.minimize(max_epochs=1)


def test_a_loss_that_is_no_number(gpu):
    opt = fa.ADAGRAD(lambda p: (gpu.array(np.ones(2)), [p]), gpu.array(np.ones(3)))
    with pytest.raises(TypeError, match="loss must return a single number"):
        opt.minimize(max_epochs=1)


def test_a_deep_copy_has_arrays_of_its_own_on_the_gpu(gpu):
    opt, arrays, other, params, rng = pair(gpu, momentum=0.9)
    step_both(gpu, opt, other, params, rng, 2)
    twin, same = copy.deepcopy(opt), copy.deepcopy(other)
    slots = opt.state["param0"]["accumulator"].to_host().tobytes()
    g = [np.full(p.shape, 0.5, p.dtype) for p in params]
    twin.step([gpu.array(each) for each in g])
    same.step(g)
    assert_same(arrays, params)
    assert opt.state["param0"]["accumulator"].to_host().tobytes() == slots
    for name, array in same.params.items():
        assert bits_differ(as_device_array(twin.params[name]).to_host(), array) == 0
        for slot, own in same.state[name].items():
            assert bits_differ(twin.state[name][slot].to_host(), own) == 0


def test_what_is_on_a_gpu_is_not_pickled_but_copied(gpu):
    opt, *_ = pair(gpu)
    with pytest.raises(TypeError, match=r"cannot be pickled: pickle array.to_host\(\)"):
        pickle.dumps(opt.state)
    snapshot = copy.deepcopy(opt.state)
    assert snapshot["param0"]["accumulator"].to_host().tolist() == opt.state["param0"]["accumulator"].to_host().tolist()
