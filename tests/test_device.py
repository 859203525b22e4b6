"""Parameters in a GPU's memory, stepped through the optimizer: its GPU runs the real kernels' PTX on the CPU."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from gpu import Interpreter
from oracle import Oracle, bits_differ, spread
from test_bits import OPTIONS

import fastadagrad as fa
from fastadagrad.device import backend

F4 = np.float32


def assert_equal_bits(opt, arrays, oracle):
    for name, array, p, G, v in zip(opt.params, arrays, oracle.p, oracle.G, oracle.v, strict=True):
        assert bits_differ(array.numpy(), p) == 0, name
        slots = opt.state[name]
        assert bits_differ(slots["accumulator"].to_host(), G) == 0, name
        if "velocity" in slots:
            assert bits_differ(slots["velocity"].to_host(), v) == 0, name


@pytest.mark.parametrize("dtype", [F4, pytest.param(np.float64, marks=pytest.mark.slow)])
@pytest.mark.parametrize("option", OPTIONS)
def test_every_option(gpu, option, dtype):
    hyper = {"learning_rate": 0.1, **OPTIONS[option]}
    rng = np.random.default_rng(1)
    shapes = [(), (0,), (5,), (7, 33), (3, 0), (4100,)]
    params = [rng.standard_normal(s).astype(dtype) for s in shapes if s or hyper.get("accumulator") != "row"]
    arrays, oracle = [gpu.array(p) for p in params], Oracle(params, **hyper)
    opt = fa.ADAGRAD(params=arrays, **hyper)
    for _ in range(4):
        gradients = [spread(rng, p.shape, dtype) for p in params]
        opt.step([gpu.array(g, read_only=True) for g in gradients])
        oracle.step(gradients)
    assert_equal_bits(opt, arrays, oracle)


def pair(gpu, dtype=F4, shapes=((33,), (4, 5)), seed=2, **hyper):
    """An optimizer on the GPU, its arrays, and one of the same numbers on the host."""
    rng = np.random.default_rng(seed)
    params = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    arrays = [gpu.array(p) for p in params]
    hyper = {"learning_rate": 0.1, **hyper}
    return fa.ADAGRAD(params=arrays, **hyper), arrays, fa.ADAGRAD(params=params, **hyper), params, rng


def step_both(gpu, opt, other, params, rng, times=1):
    for _ in range(times):
        gradients = [spread(rng, p.shape, p.dtype) for p in params]
        opt.step([gpu.array(g) for g in gradients])
        other.step(gradients)


def assert_same(arrays, params):
    for array, p in zip(arrays, params, strict=True):
        assert bits_differ(array.numpy(), p) == 0


@pytest.mark.parametrize("offset", [4, 8, 16])
def test_unaligned_arrays(gpu, offset):
    p, g = np.random.default_rng(0).standard_normal((2, 70)).astype(F4)
    array, oracle = gpu.array(p, offset=offset), Oracle([p], learning_rate=0.1)
    opt = fa.ADAGRAD(params=array, learning_rate=0.1)
    opt.step(gpu.array(g))
    oracle.step([g])
    assert bits_differ(array.numpy(), oracle.p[0]) == 0
    assert any("elements" in name for name in gpu.launched) == (offset % 16 != 0)


def test_one_launch_for_many_tensors(gpu):
    opt, arrays, other, params, rng = pair(gpu, shapes=[(n,) for n in range(20)], nonfinite="ignore")
    step_both(gpu, opt, other, params, rng)
    assert len(gpu.launched) == 1
    assert "read" not in gpu.log
    step_both(gpu, opt, other, params, rng, 3)
    assert_same(arrays, params)


def test_groups_and_mixed_dtypes(gpu):
    groups = {"param0": {"momentum": 0.5}, "param1": {"accumulator": "row", "l1": 0.01}}
    opt, arrays, other, params, rng = pair(gpu, groups=groups, weight_decay=0.01, max_gradient_norm=0.3)
    step_both(gpu, opt, other, params, rng, 4)
    assert_same(arrays, params)
    both = {"a": np.ones(5, F4), "b": np.ones(6), "frozen": np.ones(2)}
    on_gpu = {name: gpu.array(p) for name, p in both.items()}
    hyper = {"learning_rate": 0.1, "max_global_norm": 0.5, "groups": {"frozen": {"frozen": True}}}
    opt, other = fa.ADAGRAD(params=on_gpu, **hyper), fa.ADAGRAD(params=both, **hyper)
    for _ in range(3):
        g = {name: spread(rng, p.shape, p.dtype) for name, p in both.items()}
        opt.step({name: gpu.array(x) for name, x in g.items()})
        other.step(g)
    assert_same(on_gpu.values(), both.values())


def test_a_change_of_momentum_leaves_no_velocity(gpu):
    opt, arrays, other, params, rng = pair(gpu, momentum=0.9)
    for momentum in (0.9, 0.0, 0.9):
        opt.hyper.momentum = other.hyper.momentum = momentum
        step_both(gpu, opt, other, params, rng, 2)
    assert_same(arrays, params)


def test_updates_one_by_one(gpu):
    opt, arrays, other, params, rng = pair(gpu)
    for (_, update), (_, host), p in zip(opt.get_updates(), other.get_updates(), params, strict=True):
        g = spread(rng, p.shape, p.dtype)
        update(gpu.array(g))
        host(g)
    assert_same(arrays, params)


def test_gradient_buffers(gpu):
    opt, arrays, other, params, rng = pair(gpu)
    for buffer, host in zip(opt.gradients, other.gradients, strict=True):
        host[...] = spread(rng, host.shape, host.dtype)
        buffer[...] = host
    opt.step()
    other.step()
    assert_same(arrays, params)


@pytest.mark.parametrize("hyper", [{}, {"max_gradient_norm": 1.0}, {"max_global_norm": 1.0}], ids=str)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite(gpu, hyper, value):
    opt, arrays, _, params, _ = pair(gpu, **hyper)
    bad = [np.ones_like(p) for p in params]
    bad[1][-1, -1] = value
    bad = [gpu.array(g) for g in bad]
    with pytest.raises(FloatingPointError, match="gradient of 'param1' must be finite"):
        opt.step(bad)
    assert_same(arrays, params)
    opt.hyper.nonfinite = "skip"
    opt.step(bad)
    assert (opt.steps, opt.skipped) == (0, 1)
    assert_same(arrays, params)
    opt.step([gpu.array(np.ones_like(p)) for p in params])  # what was found then is forgotten
    assert opt.steps == 1


LATER = {
    "the next step": lambda opt, gradients: opt.step(gradients),
    "a change of hyperparameters": lambda opt, gradients: (setattr(opt.hyper, "momentum", 0.5), opt.step(gradients)),
    "a look at the state": lambda opt, gradients: opt.state,
    "flush": lambda opt, gradients: opt.flush(),
}


@pytest.mark.parametrize("when", LATER)
def test_an_infinite_accumulator_is_told_of_later(gpu, when):
    opt, *_ = pair(gpu)
    large = [gpu.array(np.full((33,), 1e30, F4)), gpu.array(np.ones((4, 5), F4))]
    opt.step(large)
    with pytest.warns(RuntimeWarning, match="accumulator of 'param0' has become infinite") as told:
        LATER[when](opt, large)
    assert len(told) == 1
    opt.step(large)  # once
    assert opt.state  # in each state


def test_reset_forgets_what_was_infinite(gpu):
    opt, *_ = pair(gpu)
    opt.step([gpu.array(np.full((33,), 1e30, F4)), gpu.array(np.ones((4, 5), F4))])
    opt.reset()
    opt.step([gpu.array(np.ones((33,), F4)), gpu.array(np.ones((4, 5), F4))])
    assert opt.steps == 1


class Refusing:
    """A GPU that refuses after so many requests for memory or code."""

    def __init__(self, gpu, allowed):
        self._gpu, self.allowed = gpu, allowed

    def __getattr__(self, name):
        return getattr(self._gpu, name)

    def _ask(self):
        self.allowed -= 1
        if self.allowed < 0:
            raise RuntimeError("refused")

    def allocate(self, size):
        self._ask()
        return self._gpu.allocate(size)

    def load(self, kernel):
        self._ask()
        self._gpu.load(kernel)


CHANGES = {
    "a step": lambda opt, gradients, saved: opt.step(gradients),
    "hyperparameters": lambda opt, gradients, saved: setattr(opt.hyper, "momentum", 0.5),
    "a file": lambda opt, gradients, saved: opt.load(saved),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_the_gpu_refuses_has_changed_nothing(interpreter, monkeypatch, tmp_path, what):
    """Whichever request it is: for the state, the units' own memory, rows put in order or written out, or code."""
    gpu = interpreter
    saved = tmp_path / "file"
    params = {"a": np.ones(5, F4), "b": np.ones((4, 3)), "t": np.ones((6, 2), F4)}
    groups = {"t": {"accumulator": "tensor"}}
    trained = fa.ADAGRAD(params={name: p.copy() for name, p in params.items()}, momentum=0.9, groups=groups)
    trained.step(params)
    trained.save(saved)
    given = gpu.array(np.array([1, 1, 2])), gpu.array(np.ones((3, 2), F4))
    gradients = {"a": gpu.array(params["a"]), "b": gpu.array(params["b"]), "t": fa.Rows(*given)}
    for allowed in range(100):
        arrays = {name: gpu.array(p) for name, p in params.items()}
        opt = fa.ADAGRAD(params=arrays, learning_rate=0.1, groups=groups)
        opt.step(gradients) if what != "a step" else None
        before = {name: array.numpy().copy() for name, array in arrays.items()}
        refusing = Refusing(gpu, allowed)
        with monkeypatch.context() as patch:
            patch.setattr(opt.engine.params, "backend", refusing)
            patch.setattr(backend, "backend_at", lambda address, refusing=refusing: refusing)
            for unit in [u for units in opt.engine.plan._arrangements.values() for u in units]:
                patch.setattr(unit, "_backend", refusing)
            try:
                CHANGES[what](opt, gradients, saved)
            except RuntimeError:
                done = False
            else:
                done = True
        refusing.allowed = 10**6
        if done:
            break
        for name, array in arrays.items():
            assert bits_differ(array.numpy(), before[name]) == 0
        steps = opt.steps
        opt.step(gradients)  # it goes on as if nothing had been asked
        assert opt.steps == steps + 1
    assert done
    assert allowed > 2


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda gpu: np.ones(33, F4), TypeError, "gradient of 'param0' must be a device array"),
        (lambda gpu: None, TypeError, "is missing"),
        (lambda gpu: gpu.array(np.ones(34, F4)), ValueError, r"must have shape \(33,\), not \(34,\)"),
        (lambda gpu: gpu.array(np.ones(33)), TypeError, "must have dtype float32, not float64"),
        (lambda gpu: gpu.array(np.ones(33, F4), offset=2), ValueError, "aligned"),
        (lambda gpu: Interpreter().array(np.ones(33, F4)), ValueError, "on the GPU that has its parameter"),
    ],
    ids=["host", "none", "shape", "dtype", "alignment", "elsewhere"],
)
def test_a_gradient_that_does_not_fit(gpu, make, error, words):
    opt, arrays, _, params, _ = pair(gpu)
    with pytest.raises(error, match=words):
        opt.step([make(gpu), gpu.array(np.ones((4, 5), F4))])
    with pytest.raises(error, match=words):
        next(opt.get_updates())[1](make(gpu))
    assert_same(arrays, params)
    assert not gpu.launched


def test_a_gradient_may_be_its_parameter_and_overlap_nothing_else(gpu):
    opt, arrays, other, params, _ = pair(gpu, shapes=[(8,), (8,)])
    opt.step(arrays)
    other.step(params)
    assert_same(arrays, params)
    with pytest.raises(ValueError, match="overlaps"):
        opt.step(arrays[::-1])
    with pytest.raises(ValueError, match="overlaps"):
        opt.step([arrays[0], opt.state["param0"]["accumulator"]])


class Strided:
    """Every second element."""

    def __init__(self, array):
        interface = array.__cuda_array_interface__
        self._array = array
        self.__cuda_array_interface__ = {
            **interface,
            "shape": (len(array) // 2,),
            "strides": (2 * array.dtype.itemsize,),
        }


def masked(array):
    array.__class__ = type(
        "Masked",
        (type(array),),
        {
            "__cuda_array_interface__": property(
                lambda self: {**super(type(self), self).__cuda_array_interface__, "mask": 1}
            )
        },
    )
    return array


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda gpu: gpu.array(np.ones(4, F4), read_only=True), ValueError, "'param0' is read-only"),
        (lambda gpu: gpu.array(np.ones(4, np.int32)), ValueError, "must be float32 or float64, not int32"),
        (lambda gpu: gpu.array(np.ones(4, F4), offset=2), ValueError, "not aligned"),
        (lambda gpu: Strided(gpu.array(np.ones(4, F4))), ValueError, "C-contiguous, its strides are"),
        (
            lambda gpu: masked(gpu.array(np.ones(4, F4))),
            TypeError,
            "'param0': this Masked cannot be read.* it is masked",
        ),
        (
            lambda gpu: [gpu.array(np.ones(4, F4)), np.ones(4, F4)],
            ValueError,
            "'param0' is a device array and 'param1' a",
        ),
        (lambda gpu: [gpu.array(np.ones(4, F4)), Interpreter().array(np.ones(4, F4))], ValueError, "on different GPUs"),
        (lambda gpu: [gpu.array(np.ones(4, F4))] * 2, ValueError, "share memory"),
    ],
    ids=["read-only", "dtype", "alignment", "strided", "masked", "mixed", "two GPUs", "twice"],
)
def test_a_parameter_that_does_not_fit(gpu, make, error, words):
    with pytest.raises(error, match=words):
        fa.ADAGRAD(params=make(gpu))


def test_a_parameter_that_has_moved(gpu):
    opt, arrays, *_ = pair(gpu, shapes=[(5,)])
    arrays[0].__dict__.update(vars(gpu.array(np.ones(5, F4))))
    with pytest.raises(ValueError, match="'param0' was moved in memory"):
        opt.step([gpu.array(np.ones(5, F4))])


def test_streams_are_waited_for_and_wait(interpreter):
    gpu = interpreter
    array = gpu.array(np.ones(4, F4), stream=7)
    opt = fa.ADAGRAD(params=array, nonfinite="ignore")
    gpu.log.clear()
    opt.step(gpu.array(np.ones(4, F4), stream=9))
    assert gpu.log == [("on", 9, 7), "off"]
    gpu.log.clear()
    opt.step(gpu.array(np.ones(4, F4), stream=None))
    assert gpu.log == [("on", 7), "off"]


class Dlpack:
    """A device array that knows DLPack only."""

    def __init__(self, array, where=2):
        self._array, self._where = array, where

    def __dlpack_device__(self):
        return self._where, 0

    def __dlpack__(self, stream=None):
        assert stream == 1
        return self._array.numpy().__dlpack__()


def test_dlpack(interpreter):
    gpu = interpreter
    opt, arrays, other, params, rng = pair(gpu)
    opt = fa.ADAGRAD(params=[Dlpack(a) for a in arrays], learning_rate=0.1)
    for _ in range(3):
        gradients = [spread(rng, p.shape, p.dtype) for p in params]
        opt.step([Dlpack(gpu.array(g), where) for g, where in zip(gradients, (2, 13), strict=True)])
        other.step(gradients)
    assert_same(arrays, params)
    with pytest.raises(TypeError, match="must be a device array"):
        opt.step([Dlpack(gpu.array(g), where=1) for g in gradients])


class Tensor:
    """As torch's: while it requires a gradient it does not say where it is, and it says nothing of streams."""

    def __init__(self, array, requires_grad):
        self._array, self._requires_grad, self.device = array, requires_grad, "cuda:0"
        self.is_cuda = array is not None

    def detach(self):
        return Tensor(self._array, False)

    @property
    def __cuda_array_interface__(self):
        if not self.is_cuda:
            raise AttributeError("only for tensors of a GPU")
        if self._requires_grad:
            raise RuntimeError("detach it first")
        return {**self._array.__cuda_array_interface__, "version": 2, "stream": None}


@pytest.mark.parametrize(("handle", "stream"), [(0, 1), (99, 99)])
def test_torch(interpreter, monkeypatch, handle, stream):
    gpu = interpreter
    cuda = SimpleNamespace(current_stream=lambda device: SimpleNamespace(cuda_stream=handle))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(Tensor=Tensor, cuda=cuda))
    _, arrays, other, params, rng = pair(gpu)
    opt = fa.ADAGRAD(params=[Tensor(a, requires_grad=True) for a in arrays], learning_rate=0.1)
    g = [spread(rng, p.shape, p.dtype) for p in params]
    gpu.log.clear()
    opt.step([Tensor(gpu.array(x), requires_grad=False) for x in g])
    assert gpu.log[0] == ("on", stream)
    other.step(g)
    assert_same(arrays, params)
    with pytest.raises(TypeError, match=r"'param0' must be a numpy\.ndarray, not Tensor"):
        fa.ADAGRAD(params=Tensor(None, requires_grad=False))


def test_the_state_is_on_the_gpu_and_read_only(gpu):
    opt, arrays, *_ = pair(gpu)
    accumulator = opt.state["param1"]["accumulator"]
    interface = accumulator.__cuda_array_interface__
    assert gpu.holds(interface["data"][0])
    assert interface["data"][1]
    assert (accumulator.shape, accumulator.dtype, accumulator.size, len(accumulator)) == ((4, 5), F4, 20, 4)
    assert opt.params["param1"] is arrays[1]
    with pytest.raises(TypeError, match="to_host"):
        np.asarray(accumulator)


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
    assert all(gpu.holds(best.address) for best in opt.ledger.best_arrays)
    for array in arrays.values():
        array.set(np.full(array.shape, 9.0))
    opt.set_params()
    for name, p in expected.items():
        assert bits_differ(arrays[name].numpy(), p) == 0
    assert opt.evaluate((X, Y)) == pytest.approx(other.evaluate((X, Y)), rel=1e-12)


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
    opt, params, *_ = train(gpu, steps=0)
    opt.load(tmp_path / "file")
    opt.set_params("best")
    for name, p in expected.items():
        assert bits_differ(params[name], p) == 0


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


def test_without_a_compiler(gpu, monkeypatch):
    monkeypatch.delattr("fastadagrad.device.units", raising=False)
    monkeypatch.setitem(sys.modules, "fastadagrad.device.units", None)
    with pytest.raises(RuntimeError, match=r"need numba-cuda.*pip install 'fastadagrad\[cuda13\]'"):
        fa.ADAGRAD(params=gpu.array(np.ones(3)))
