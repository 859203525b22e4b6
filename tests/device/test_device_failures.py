"""Device arrays that do not fit, gradients that are not finite, and GPUs that refuse: nothing is changed."""

import sys

import numpy as np
import pytest
from gpu import Interpreter
from oracle import bits_differ
from pairs import F4, assert_same, pair

import fastadagrad as fa
from fastadagrad.device import backend


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


@pytest.mark.filterwarnings("ignore:.*was saved with other hyperparameters:UserWarning")
@pytest.mark.parametrize("what", CHANGES)
def test_what_the_gpu_refuses_has_changed_nothing(interpreter, monkeypatch, tmp_path, what):
    """Whichever request it is: for the state, the units' own memory, rows put in order or written out, or code."""
    gpu = interpreter
    saved = tmp_path / "file"
    params = {"a": np.ones(5, F4), "b": np.ones((4, 3)), "t": np.ones((6, 2), F4), "v": np.ones((6, 4), F4)}
    groups = {"t": {"accumulator": "tensor"}}
    trained = fa.ADAGRAD(params={name: p.copy() for name, p in params.items()}, momentum=0.9, groups=groups)
    trained.step(params)
    trained.save(saved)
    given = gpu.array(np.array([1, 1, 2])), gpu.array(np.ones((3, 2), F4))
    gradients = {"a": gpu.array(params["a"]), "b": gpu.array(params["b"]), "t": fa.Rows(*given)}
    gradients["v"] = fa.Rows(given[0], gpu.array(np.ones((3, 4), F4)))
    for allowed in range(100):
        arrays = {name: gpu.array(p) for name, p in params.items()}
        opt = fa.ADAGRAD(params=arrays, learning_rate=0.1, groups=groups)
        opt.step(gradients) if what != "a step" else None
        before = {name: array.numpy().copy() for name, array in arrays.items()}
        refusing = Refusing(gpu, allowed)
        with monkeypatch.context() as patch:
            patch.setattr(opt._session.engine.params.place, "backend", refusing)
            patch.setattr(backend, "backend_at", lambda address, refusing=refusing: refusing)
            for unit in opt._session.engine.stepping._plan.all_units():
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
        (lambda gpu: gpu.array(np.ones(4, np.int32)), ValueError, "must be float32 or float64 on a GPU, not int32"),
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


def test_without_a_compiler(gpu, monkeypatch):
    monkeypatch.delattr("fastadagrad.device.units", raising=False)
    monkeypatch.setitem(sys.modules, "fastadagrad.device.units", None)
    with pytest.raises(RuntimeError, match=r"need Numba 0\.62 to 0\.68.*pip install 'fastadagrad\[cuda\]'"):
        fa.ADAGRAD(params=gpu.array(np.ones(3)))
