"""A method of one's own: added on the fly, and in every driver at once."""

import copy
import importlib
import os
import pickle
import subprocess
import sys
from collections import namedtuple
from dataclasses import make_dataclass
from math import sqrt

import numpy as np
import pytest
from averaged import changed, registered
from numba import njit
from oracle import bits_differ, spread
from own_rules import module_text
from sparse import set_thresholds

import fastadagrad as fa
from fastadagrad.engine.registry import RegisteredRule
from fastadagrad.kernels import rules
from fastadagrad.kernels.rules import soft_threshold
from fastadagrad.optimizer.methods import METHODS, method_named

__all__ = ["registered"]


def formula(p, g, slots, a=0.1):
    c = p.dtype.type
    G, S = slots[0] + c(0.5) * (g * g), slots[1] + g
    return p - c(a) * (g + S) / (np.sqrt(G) + c(1e-3)), [G, S]


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


@njit
def square(x):
    return x * x


@njit
def root_of_sum(x, y):
    return sqrt(square(x) + square(y))


def test_a_formula_may_call_functions_that_a_user_has_compiled(gpu, registered):
    """They may call others; the GPU has the bits of the CPU."""
    fa.register(changed(delta=lambda g, H, own, s: (s.learning_rate * g / root_of_sum(H, own[1]), own)))
    before = make()
    arrays, opts = [gpu.array(p) for p in before], []
    for params in (before, arrays):
        opts.append(fa.build(registered, params=params, learning_rate=0.1))
    rng = np.random.default_rng(1)
    for _ in range(3):
        gradients = [spread(rng, p.shape, p.dtype) for p in before]
        opts[0].step(gradients)
        opts[1].step([gpu.array(g) for g in gradients])
    assert [bits_differ(array.numpy(), p) for array, p in zip(arrays, before, strict=True)] == [0] * len(before)


def thresholded(g, H, own, s):
    return soft_threshold(g, s.weight, s.zero), own


@pytest.mark.parametrize("delta", [thresholded, lambda g, H, own, s: (rules.soft_threshold(g, s.weight, s.zero), own)])
@pytest.mark.parametrize("there", [False, True], ids=["host", "GPU"])
def test_a_formula_may_call_the_soft_threshold(gpu, registered, there, delta):
    """By its own name or that of its module."""
    fa.register(changed(delta=delta))
    p = (gpu.array if there else np.array)(np.zeros(6, np.float32))
    g = np.array([0.5, -0.5, 0.75, -3.0, -0.0, 1e-40], np.float32)
    fa.build(registered, params=p).step(gpu.array(g) if there else g)
    expected = np.array([0.0, 0.0, -0.25, 2.5, 0.0, 0.0], np.float32)
    assert bits_differ(p.numpy() if there else p, expected) == 0


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
        fa.register(changed(name="adam"))
    assert method_named("adam") is fa.Adam
    for name in (None, "A", "two words", 3, "größe", "µ"):
        with pytest.raises(TypeError, match="name of a rule must be an identifier in lower case and of ASCII letters"):
            fa.register(changed(name=name))


def stepped(opt):
    p = opt.params["param0"]
    p[...] = 1.0
    opt.reset()
    opt.step(np.full_like(p, 2.0))
    return p.copy()


def test_a_second_rule_takes_the_place_of_the_first(registered, caplog):
    """Also where only a number has changed; what was made with the first goes on with it."""
    first = fa.build(registered, params=np.ones(5), learning_rate=0.1)
    kit, before = fa.compiled_update(registered, learning_rate=0.1), stepped(first)
    with caplog.at_level("INFO", logger="fastadagrad"):
        fa.register(changed(delta=lambda g, H, own, s: (s.learning_rate * g, own)))
    assert f"the method {registered!r} is registered anew" in caplog.text
    second = fa.build(registered, params=np.ones(5), learning_rate=0.1)
    assert stepped(second).tolist() == [1 - 0.1 * 2.0] * 5
    first.hyper.momentum = 0.0  # it is planned anew
    assert stepped(first).tolist() == before.tolist()
    p = np.ones(5)
    kit.update(p, np.full(5, 2.0), kit.slots(p), kit.scalars())
    assert p.tolist() == before.tolist()
    assert stepped(copy.deepcopy(first)).tolist() == before.tolist()
    fa.register(changed(slots=("squares",), initial=lambda hyper, a: (0.0,), **ONE_SLOT))
    assert [*fa.build(registered, params=np.ones(5)).state["param0"]] == ["squares"]
    assert [*first.state["param0"]] == ["squares", "gradients"]


ONE_SLOT = {
    "accumulate": lambda p, g, square, own, s: (own[0] + square,),
    "delta": lambda g, H, own, s: (s.learning_rate * g / H, own),
}


def test_a_module_that_is_reloaded(registered, tmp_path, monkeypatch):
    """It stays the same object, and yet what was made of it before is not changed."""
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "rule_to_reload.py"
    file.write_text(module_text("family_test", "s.learning_rate * g"))
    module = importlib.import_module("rule_to_reload")
    try:
        fa.register(module)
        first = fa.build(registered, params=np.ones(5), learning_rate=0.5)
        assert stepped(first).tolist() == [0.0] * 5
        file.write_text(module_text("family_test", "g - s.learning_rate * g + s.learning_rate * s.learning_rate"))
        fa.register(importlib.reload(module))
        assert stepped(fa.build(registered, params=np.ones(5), learning_rate=0.5)).tolist() == [1 - 1.25] * 5
        first.hyper.momentum = 0.0
        assert stepped(first).tolist() == [0.0] * 5
    finally:
        del sys.modules["rule_to_reload"]


SCRIPT = """
import sys
import numba
import numpy as np
import fastadagrad as fa
import rule_of_mine

CONSTANT = float(sys.argv[1])

@numba.extending.register_jitable
def helped(x):
    return CONSTANT_HERE * x

def made(c):
    def delta(g, H, own, s):
        return c * g, own
    return delta

def by_global(g, H, own, s):
    return CONSTANT * g, own

def by_helper(g, H, own, s):
    return helped(g), own

for i, delta in enumerate([by_global, by_helper, made(CONSTANT)]):
    rule_of_mine.name, rule_of_mine.delta = f"mine_{i}", delta
    fa.register(rule_of_mine)
    p = np.zeros(3)
    fa.build(f"mine_{i}", params=p).step(np.ones(3))
    print(-p[0])
"""


@pytest.mark.slow
def test_what_a_formula_refers_to_is_looked_at_in_the_disk_cache(tmp_path):
    """Numba's cache does not see that a global number, a helper or a captured value is another one."""
    (tmp_path / "rule_of_mine.py").write_text(module_text("family_test", "g"))
    script = tmp_path / "script.py"
    for constant in (2.0, 5.0):
        script.write_text(SCRIPT.replace("CONSTANT_HERE", str(constant)))
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}
        command = [sys.executable, str(script), str(constant)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert [*map(float, done.stdout.split())] == [constant] * 3


def test_a_rule_that_has_forms_and_measures():
    """Its forms need not repeat what it measures."""

    class Form:
        slots, delta = fa.DoG.rule.slots, fa.DoG.rule.delta
        accumulate, scale = fa.DoG.rule.accumulate, fa.DoG.rule.scale

    rule = RegisteredRule(fa.DoG.rule)
    rule.name, rule.form = "measuring", lambda hyper: Form
    for part in ("slots", "delta", "accumulate", "scale"):
        delattr(rule, part)
    fa.register(rule)
    try:
        p, q = np.ones(4), np.ones(4)
        opt, other = fa.build("measuring", params=p), fa.DoG(params=q)
        for seed in range(4):
            g = np.random.default_rng(seed).standard_normal(4)
            opt.step(g)
            other.step(g)
        assert bits_differ(p, q) == 0
        assert opt.learned == other.learned
        Form.measured = ("other",)
        with pytest.raises(TypeError, match="all forms of a method measure the same"):
            fa.register(rule)
    finally:
        del METHODS["measuring"]


PICKLING = """
import pickle, sys
import numpy as np
import fastadagrad as fa
import rule_of_mine

fa.register(rule_of_mine)
opt = fa.build("family_test", params=np.ones(3), learning_rate=0.5)
opt.step(np.ones(3))
pickle.dump((opt, fa.compiled_update("family_test")), open(sys.argv[1], "wb"))
"""


def test_pickled_by_its_name(tmp_path, registered, monkeypatch):
    """In the process that reads, the rule is what has that name there; the module that registers it is imported."""
    (tmp_path / "rule_of_mine.py").write_text(module_text("family_test", "s.learning_rate * g"))
    (tmp_path / "script.py").write_text(PICKLING)
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "pickled")]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    content = (tmp_path / "pickled").read_bytes()
    del METHODS[registered]
    try:
        with pytest.raises(ValueError, match="method 'family_test', registered by rule_of_mine, and there is no such"):
            pickle.loads(content)
        source = (tmp_path / "rule_of_mine.py").read_text()
        (tmp_path / "rule_of_mine.py").write_text(
            f"{source}\nimport sys, fastadagrad\nfastadagrad.register(sys.modules[__name__])\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        opt, kit = pickle.loads(content)
        opt.step(np.ones(3))
        assert opt.params["param0"].tolist() == [0.0] * 3
        assert type(opt) is method_named("family_test")
        assert kit.slots(np.ones(3)) == ()
    finally:
        sys.modules.pop("rule_of_mine", None)
        METHODS.setdefault(registered, None)


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
    with pytest.raises(TypeError, match=message):
        fa.register(changed(**change, name="refused"))
    assert "refused" not in METHODS


def test_a_pickled_optimizer_of_a_rule_that_is_another_by_now(registered):
    """It can only go by the rule that has the name, and says so."""
    opt = fa.build(registered, params=np.ones(3))
    content = pickle.dumps(opt)
    assert type(pickle.loads(content)) is type(opt)
    fa.register(changed(delta=lambda g, H, own, s: (g, own)))
    with pytest.warns(UserWarning, match="another rule that was registered as 'family_test'"):
        pickle.loads(content)
