"""Parameters in a GPU's memory, stepped through the optimizer: its GPU runs the real kernels' PTX on the CPU."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from adagrad_options import OPTIONS
from lent import ByDLPack
from oracle import Oracle, bits_differ, spread
from pairs import F4, assert_same, pair, step_both

import fastadagrad as fa


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


def test_two_launches_for_the_norms_of_many_tensors(gpu):
    hyper = {"max_global_norm": 0.5, "nonfinite": "ignore"}
    opt, arrays, other, params, rng = pair(gpu, shapes=[(0,), (5,), (9000,), (0,), (3, 4)], **hyper)
    step_both(gpu, opt, other, params, rng)
    assert len(gpu.launched) == 3
    assert gpu.log.count("read") == 1
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
        opt.step([ByDLPack(g) for g in gradients])


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
    with pytest.raises(TypeError, match=r"'param0' must be a numpy\.ndarray .*, not Tensor"):
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
