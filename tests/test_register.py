"""A method of one's own: added on the fly, and in every driver at once."""

from collections import namedtuple
from dataclasses import dataclass, make_dataclass
from math import sqrt
from types import SimpleNamespace

import numpy as np
import pytest
from oracle import bits_differ, spread
from sparse import set_thresholds

import fastadagrad as fa
from fastadagrad.kernels.rules import COMMON
from fastadagrad.methods import METHODS, method_named


class Averaged:
    """G <- G + weight*g*g ; S <- S + g ; d = a*(g + S) / (sqrt(G) + e)."""

    name = "family_test"
    slots = ("squares", "gradients")
    squares = True
    Scalars = namedtuple("Scalars", (*COMMON, "epsilon", "weight"))

    @dataclass(frozen=True, kw_only=True)
    class Hyperparameters:
        rms_regularizer: float = 1e-3
        weight: float = 0.5

    def scalar_values(hyper, a, t):
        return hyper.rms_regularizer, hyper.weight

    def initial(hyper, a):
        return 0.25, 0.0

    def accumulate(p, g, square, own, s):
        return own[0] + s.weight * square, own[1] + g

    def scale(own, s):
        return sqrt(own[0]) + s.epsilon

    def delta(g, H, own, s):
        return s.learning_rate * (g + own[1]) / H, own


def formula(p, g, slots, a=0.1):
    c = p.dtype.type
    G, S = slots[0] + c(0.5) * (g * g), slots[1] + g
    return p - c(a) * (g + S) / (np.sqrt(G) + c(1e-3)), [G, S]


@pytest.fixture
def registered():
    assert fa.register(Averaged) is Averaged
    yield Averaged.name
    del METHODS[Averaged.name]


def follow(opt, arrays, place=lambda a: a):
    """Step an optimizer whose arrays began as these, with gradients where `place` puts them; what the formula gives."""
    rng, expected = np.random.default_rng(1), []
    for p in arrays:
        expected.append((p.copy(), [np.full_like(p, 0.25), np.zeros_like(p)]))
    for _ in range(5):
        gradients = [spread(rng, p.shape, p.dtype) for p in arrays]
        opt.step([place(g) for g in gradients])
        with np.errstate(all="ignore"):
            expected = [formula(p, g, slots) for (p, slots), g in zip(expected, gradients, strict=True)]
    return [p for p, _ in expected]


def make(dtype=np.float32):
    return [np.random.default_rng(0).standard_normal(shape).astype(dtype) for shape in [(), (5,), (7, 33), (5000,)]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dense(registered, threads, dtype):
    arrays = make(dtype)
    before = [p.copy() for p in arrays]
    opt = fa.build(registered, params=arrays, learning_rate=0.1, threads=threads)
    for p, expected in zip(arrays, follow(opt, before), strict=True):
        assert bits_differ(p, expected) == 0


def test_on_a_gpu(gpu, registered):
    before = make()
    arrays = [gpu.array(p) for p in before]
    opt = fa.build(registered, params=arrays, learning_rate=0.1)
    for array, expected in zip(arrays, follow(opt, before, gpu.array), strict=True):
        assert bits_differ(array.numpy(), expected) == 0


@pytest.mark.parametrize("there", [False, True], ids=["host", "GPU"])
def test_rows(gpu, registered, there):
    place = gpu.array if there else np.asarray
    rng, p = np.random.default_rng(0), np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    params = place(p.copy())
    opt = fa.build(registered, params=params, learning_rate=0.1, lazy="touched")
    slots = [np.full_like(p, 0.25), np.zeros_like(p)]
    for _ in range(3):
        indices, values = rng.integers(0, 20, 9), rng.standard_normal((9, 3)).astype(np.float32)
        dense, named = np.zeros_like(p), np.unique(indices)
        np.add.at(dense, indices, values)
        opt.step(fa.Rows(place(indices), place(values)))
        p[named], new = formula(p[named], dense[named], [slot[named] for slot in slots])
        for slot, rows in zip(slots, new, strict=True):
            slot[named] = rows
    assert bits_differ(params.numpy() if there else params, p) == 0


def test_in_a_nopython_loop(registered, monkeypatch):
    set_thresholds(monkeypatch)
    p, kit = np.ones(5), fa.compiled_update(registered, learning_rate=0.1)
    expected, slots = p.copy(), kit.slots(p)
    kit.update(p, np.arange(5.0), slots, kit.scalars())
    expected, _ = formula(expected, np.arange(5.0), [np.full(5, 0.25), np.zeros(5)])
    assert bits_differ(p, expected) == 0


def test_the_rest_of_the_optimizer(registered, tmp_path):
    p = np.full(3, 2.0)
    opt = method_named(registered.upper())(lambda p: (float(p @ p), 2 * p), p, learning_rate=0.1, momentum=0.5)
    opt.minimize(max_epochs=20)
    opt.save(tmp_path / "file")
    q = np.ones(3)
    other = fa.build(registered, params=q, momentum=0.5, weight=0.7)
    with pytest.warns(UserWarning, match="learning_rate was 0.1 and is 0.0001, weight was 0.5 and is 0.7"):
        other.load(tmp_path / "file")
    assert bits_differ(p, q) == 0
    assert {*other.state["param0"]} == {"squares", "gradients", "velocity"}
    for slot, a in other.state["param0"].items():
        assert bits_differ(a, opt.state["param0"][slot]) == 0
    assert opt.best.loss < 12


def test_names():
    with pytest.raises(ValueError, match="there is a method 'adam' already"):
        fa.register(SimpleNamespace(name="adam"))
    for name in (None, "A", "two words", 3):
        with pytest.raises(TypeError, match="name of a rule must be an identifier in lower case"):
            fa.register(SimpleNamespace(name=name))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"delta": None}, "lacks delta"),
        ({"Scalars": None}, "lacks Scalars"),
        ({"scale": None, "initial": None}, "lacks initial, scale"),
        ({"Scalars": namedtuple("Scalars", "a b")}, "begin with the names of COMMON"),
        ({"Hyperparameters": int}, "must be a dataclass"),
        ({"slots": tuple("abcdefg")}, "may have 5 slots"),
        ({"slots": ("velocity",)}, "none called 'best', 'learned', 'param', 'velocity'"),
        ({"slots": ("param",)}, "none called"),
        ({"slots": ("a", "a")}, "all different"),
        ({"Scalars": int}, "begin with the names of COMMON"),
        ({"defaults": {"lerning_rate": 1}}, "defaults must be of learning_rate, .*not {'lerning_rate': 1}"),
        ({"Hyperparameters": make_dataclass("H", [("momentum", float, 0.5)])}, "which all methods have: rename them"),
        ({"measured": ("sum",)}, "is to measure .*but lacks measure, learn"),
        ({"initial": lambda hyper, a: (0.0,)}, "a value for each of its slots"),
        ({"scalar_values": lambda hyper, a, t: ()}, "scalar_values must give its own"),
    ],
)
def test_rules_that_are_refused(change, message):
    parts = {name: value for name, value in {**vars(Averaged), **change}.items() if value is not None}
    with pytest.raises(TypeError, match=message):
        fa.register(SimpleNamespace(**{**parts, "name": "refused"}))
    assert "refused" not in METHODS
