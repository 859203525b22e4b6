"""A method of one's own: added on the fly, and in every driver at once."""

import copy
import functools
import importlib
import os
import pickle
import subprocess
import sys
from collections import namedtuple
from dataclasses import dataclass, make_dataclass
from math import log, sqrt

import numba
import numpy as np
import pytest
from oracle import bits_differ, spread
from own_rules import module_text, variant
from sparse import set_thresholds

import fastadagrad as fa
from fastadagrad.engine.registry import RegisteredRule
from fastadagrad.kernels import rules
from fastadagrad.kernels.rules import COMMON, soft_threshold
from fastadagrad.optimizer.methods import METHODS, method_named


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


def changed(**changes):
    return variant(Averaged, **changes)


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


def mistaken(g, H, own, s):
    return s.learning_rat * g, own  # this line is told


def unknown_name(own, s):
    return sqroot(own[0])  # noqa: F821


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"accumulate": lambda p, g, own, s: own},
            r"accumulate fails: TypeError: .*5 were given \(.*register.py:",
        ),
        ({"scale": unknown_name}, r"scale fails: NameError: name 'sqroot' is not defined \(.*test_register.py:\d+\)"),
        ({"delta": mistaken}, r"delta fails: AttributeError: .*learning_rat.*\(.*test_register.py:\d+\)"),
        ({"delta": lambda g, H, own, s: g}, r"delta must give the displacement and the slots, \(d, own\), not"),
        ({"delta": lambda g, H, own, s: (g, own[0])}, "delta must give the slots"),
        ({"delta": lambda g, H, own, s: (own, own)}, "delta must give a number for the displacement"),
        ({"scale": lambda own, s: own}, "scale must give a number, not"),
        ({"scale": lambda own, s: None}, "scale must give a number, not None"),
        ({"accumulate": lambda p, g, square, own, s: own[:1]}, "accumulate must give the slots"),
        ({"slots": "mean"}, r"slots must be a tuple of names, as \('mean',\), not 'mean'"),
        ({"slots": ("a/b", "c")}, "slots must be identifiers of ASCII letters, not 'a/b'"),
        ({"slots": ("größe", "c")}, "slots must be identifiers of ASCII letters, not 'größe'"),
        ({"Scalars": namedtuple("Scalars", (*COMMON, "épsilon", "weight"))}, "Scalars must be identifiers of ASCII"),
        ({"initial": lambda hyper, a: 0.5}, "initial must give a value for each of its slots"),
        ({"initial": lambda hyper, a: ("zero", 0.5)}, "initial must give numbers"),
        ({"scalar_values": lambda hyper, a: (1.0, 2.0)}, "scalar_values fails: TypeError"),
    ],
)
def test_mistakes_are_told_with_the_users_line(change, message):
    with pytest.raises(TypeError, match=f"rule 'refused': {message}"):
        fa.register(changed(**change, name="refused"))
    assert "refused" not in METHODS


class OfItsOwn:
    pass


UNKNOWN_TO_THE_COMPILER = OfItsOwn()
PARTIAL = functools.partial(lambda factor, g, H, own, s: (factor * g, own), 2.0)


def in_case_of_error(g, H, own, s):
    try:
        return g / H, own
    except ValueError:
        return g, own


# Numba refuses the format before Python 3.13, and from there on the opcode that Python has for it.
UNFORMATTED = r"(format spec|Use of unsupported opcode \(FORMAT)"


def by_a_format(own, s):
    return sqrt(own[0]) if f"{own[0]:.3f}" else s.one


def by_an_import(p, g, square, own, s):
    import random  # noqa: F401

    return own


def by_a_generator(g, H, own, s):
    def parts():
        yield g

    return next(parts()), own


def of_a_class(own, s):
    return own[0] if UNKNOWN_TO_THE_COMPILER else s.one


def sometimes_alone(g, H, own, s):
    return (g, own) if g < s.one else g


def sometimes_less(p, g, square, own, s):
    return own if g < s.one else own[:1]


def sometimes_text(own, s):
    return own[0] if own[0] < s.one + s.one else "large"


def by_another_function(own, s):
    return another_function(own[0])


def another_function(x):
    return x


class WithMethods:
    def delta(self, g, H, own, s):
        return g, own


@pytest.mark.parametrize(
    ("part", "function", "reason"),
    [
        ("delta", in_case_of_error, r"cannot be compiled: .*exception_match.* \(.*test_register.py:\d+\)"),
        ("scale", by_a_format, rf"cannot be compiled: {UNFORMATTED}.*\(.*test_register.py:\d+\)"),
        ("accumulate", by_an_import, r"cannot be compiled: .*IMPORT_NAME.*\(.*test_register.py:\d+\)"),
        ("delta", by_a_generator, r"cannot be compiled: .*(yield|generator).*\(.*test_register.py:\d+\)"),
        ("scale", of_a_class, r"cannot be compiled: .*UNKNOWN_TO_THE_COMPILER.*\(.*test_register.py:\d+\)"),
        ("scale", by_another_function, r"cannot be compiled: .*another_function.*\(.*test_register.py:\d+\)"),
        ("delta", sometimes_alone, r"cannot be compiled: Can.* unify .*\(.*test_register.py:\d+\)"),
        ("accumulate", sometimes_less, r"cannot be compiled: Can.* unify .*\(.*test_register.py:\d+\)"),
        ("scale", sometimes_text, r"cannot be compiled: Can.* unify .*\(.*test_register.py:\d+\)"),
        ("delta", PARTIAL, "must be a plain function, as the library compiles it itself, not a partial"),
        ("delta", WithMethods().delta, "must be a plain function.*, not a method of an object: register its class"),
        (
            "scale",
            numba.njit(lambda own, s: own[0]),
            "must be a plain function.*: give the function without its decorator",
        ),
    ],
)
def test_what_cannot_be_compiled_is_refused_in_words(part, function, reason):
    with pytest.raises(TypeError, match=f"^rule 'refused': {part} {reason}"):
        fa.register(changed(**{part: function}, name="refused"))
    assert "refused" not in METHODS


@pytest.mark.parametrize(
    ("part", "function"),
    [
        ("delta", lambda g, H, own, s: 1 / 0),
        ("delta", lambda g, H, own, s: (1 / 0, own)),
        ("delta", lambda g, H, own, s: (g * (1 // 0), own)),
        ("scale", lambda own, s: 1 % 0),
        ("scale", lambda own, s: log(s.one - s.one - s.one)),
        ("accumulate", lambda p, g, square, own, s: (1.0 / sqrt(own[0] - own[0]), own[1])),
        ("initial", lambda hyper, a: (1 / 0, 0.0)),
        ("scalar_values", lambda hyper, a, t: (1 / 0, 0.0)),
    ],
)
def test_what_fails_at_all_numbers_is_refused(part, function):
    kind = "ValueError: .*" if "log" in function.__code__.co_names else "ZeroDivisionError: .* by zero"
    message = rf"^rule 'refused': {part} fails at all numbers that were tried: {kind} \(.*test_register.py:\d+\)"
    with pytest.raises(TypeError, match=message):
        fa.register(changed(**{part: function}, name="refused"))
    assert "refused" not in METHODS


def test_numbers_at_which_a_formula_breaks_down_are_no_mistake(registered):
    fa.register(changed(scale=lambda own, s: log(own[1]), rests=True))
    fa.register(changed(scale=lambda own, s: 1.0 / sqrt(own[1] + s.weight - s.weight)))
    no_weight = make_dataclass("Hyperparameters", [("rms_regularizer", float, 1.0), ("weight", float, 0.0)])
    fa.register(changed(Hyperparameters=no_weight, scale=lambda own, s: log(s.weight)))


def test_arguments_with_defaults_and_any_number_of_them_are_compiled(registered):
    fa.register(changed(delta=lambda g, H, own, s, factor=0.5: (factor * g, own), scale=lambda *both: both[0][0]))
    p = np.ones(3)
    fa.build(registered, params=p).step(np.ones(3))
    assert p.tolist() == [0.5] * 3


def test_a_form_that_cannot_be_compiled_is_refused_when_it_is_asked_for(registered):
    chosen = make_dataclass(
        "Hyperparameters",
        [("rms_regularizer", float, 1e-3), ("weight", float, 0.5), ("odd", bool, False)],
        frozen=True,
        kw_only=True,
    )
    odd = changed(scale=by_a_format)
    fa.register(changed(Hyperparameters=chosen, form=lambda hyper: odd if hyper.odd else Averaged))
    p = np.ones(3)
    opt = fa.build(registered, params=p)
    for ask in (
        lambda: fa.build(registered, params=p, odd=True),
        lambda: fa.build(registered, params=p, odd=True),
        lambda: opt.hyper.update(odd=True),
    ):
        with pytest.raises(TypeError, match=rf"^rule 'family_test': scale cannot be compiled: {UNFORMATTED}"):
            ask()
    opt.step(np.ones(3))
    assert (opt.hyper.odd, bool((p < 1).all())) == (False, True)


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
