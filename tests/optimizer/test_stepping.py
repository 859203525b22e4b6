"""`step`: what it refuses, and that a refused step has changed nothing; counting; updates one by one."""

import inspect
import math
import pickle
import tracemalloc
import warnings

import numpy as np
import pytest

import fastadagrad as fa
from fastadagrad.host import place as host
from fastadagrad.kernels.cpu.tensors import make_driver
from fastadagrad.kernels.rules import adagrad

F4, F8 = np.float32, np.float64


def snapshot(opt):
    arrays = [*opt.params.values(), *(slot for slots in opt.state.values() for slot in slots.values())]
    return [array.tobytes() for array in arrays], opt.steps, opt.skipped, dict(opt.hyper)


def three(**hyper):
    """Two float64 parameters around a float32 one, so that there are two launches; stepped once."""
    params = [np.arange(6.0).reshape(2, 3), np.ones((2, 3), F4), np.arange(6.0).reshape(2, 3) + 9]
    opt = fa.ADAGRAD(params=params, learning_rate=0.1, momentum=0.5, **hyper)
    opt.step(good())
    return opt


def good():
    return [np.full((2, 3), 0.5), np.full((2, 3), 0.5, F4), np.full((2, 3), 0.5)]


def matrix():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.matrix(np.ones((2, 3)))


BAD = {
    "missing": (lambda opt: None, TypeError),
    "list": (lambda opt: [[1.0] * 3] * 2, TypeError),
    "number": (lambda opt: 1.0, TypeError),
    "masked": (lambda opt: np.ma.ones((2, 3)), TypeError),
    "matrix": (lambda opt: matrix(), TypeError),
    "transposed shape": (lambda opt: np.ones((3, 2)), ValueError),
    "fewer rows": (lambda opt: np.ones((1, 3)), ValueError),
    "flat": (lambda opt: np.ones(6), ValueError),
    "another axis": (lambda opt: np.ones((2, 3, 1)), ValueError),
    "0-d": (lambda opt: np.ones(()), ValueError),
    "empty": (lambda opt: np.ones((0, 3)), ValueError),
    "float32": (lambda opt: np.ones((2, 3), F4), TypeError),
    "int": (lambda opt: np.ones((2, 3), int), TypeError),
    "complex": (lambda opt: np.ones((2, 3), complex), TypeError),
    "foreign-endian": (lambda opt: np.ones((2, 3), np.dtype(F8).newbyteorder()), TypeError),
    "Fortran": (lambda opt: np.ones((2, 3), order="F"), ValueError),
    "strided": (lambda opt: np.ones((2, 6))[:, ::2], ValueError),
    "broadcast": (lambda opt: np.broadcast_to(1.0, (2, 3)), ValueError),
    "unaligned": (lambda opt: np.zeros(49, np.uint8)[1:].view(F8).reshape(2, 3), ValueError),
    "another parameter": (lambda opt: opt.params["param0"], ValueError),
    "accumulator": (lambda opt: opt.state["param2"]["accumulator"], ValueError),
    "another's velocity": (lambda opt: opt.state["param0"]["velocity"], ValueError),
    "NaN": (lambda opt: np.full((2, 3), [[1, 1, 1], [1, 1, math.nan]]), FloatingPointError),
    "infinity": (lambda opt: np.full((2, 3), [[math.inf, 1, 1], [1, 1, 1]]), FloatingPointError),
    "-infinity": (lambda opt: np.full((2, 3), [[1, 1, 1], [-math.inf, 1, 1]]), FloatingPointError),
}


@pytest.mark.parametrize("hyper", [{}, {"max_global_norm": 1.0}], ids=["plain", "global norm"])
@pytest.mark.parametrize("case", BAD)
def test_a_bad_last_gradient_changes_nothing(case, hyper):
    make, error = BAD[case]
    opt = three(**hyper)
    gradients = [*good()[:2], make(opt)]
    before = snapshot(opt)
    with pytest.raises(error, match="'param2'"):
        opt.step(gradients)
    assert snapshot(opt) == before
    opt.step(good())
    assert opt.steps == 2


@pytest.mark.parametrize("shift", [-1, 1])
@pytest.mark.parametrize("dtype", [F4, F8])
def test_partial_overlap_with_the_own_parameter(shift, dtype):
    base = np.ones(12, dtype)
    opt = fa.ADAGRAD(params=base[1:11])
    with pytest.raises(ValueError, match="'param0' overlaps"):
        opt.step(base[1 + shift : 11 + shift])
    assert (base == 1).all()
    opt.step(base[1:11])  # the parameter itself is welcome, through whatever view
    assert opt.steps == 1


def test_gradient_inside_a_frozen_parameter_is_refused():
    frozen = np.ones(5)
    opt = fa.ADAGRAD(params={"w": np.ones(3), "f": frozen}, groups={"f": {"frozen": True}})
    with pytest.raises(ValueError, match="'w' overlaps"):
        opt.step({"w": frozen[1:4], "f": None})


def read_only(g):
    g.flags.writeable = False
    return g


def with_own_dtype(g):
    """The dtype equals float64 but is another object, as in arrays from another process."""
    g = g.view(pickle.loads(pickle.dumps(np.dtype("f8"))))
    assert g.dtype is not np.dtype("f8")
    return g


@pytest.mark.parametrize("kind", ["plain", "read-only", "memmap", "own dtype", "bytes", "view", "buffers"])
def test_all_kinds_of_host_arrays_and_the_second_call_compiles_nothing(kind, tmp_path):
    w, expected = np.linspace(-1, 1, 10), np.linspace(-1, 1, 10)
    opt = fa.ADAGRAD(params=w, learning_rate=0.1, groups={})
    fa.ADAGRAD(params=expected, learning_rate=0.1).step(np.linspace(2, 3, 10))
    kernel = make_driver(adagrad, "plain", "element", True, w.dtype).serial
    compiled = len(kernel.signatures)
    g = np.linspace(2, 3, 10)
    if kind == "memmap":
        mapped = np.memmap(tmp_path / "g", F8, "w+", shape=(10,))
        mapped[:] = g
        g = mapped
    elif kind == "buffers":
        opt.gradients[:] = g
        g = opt.gradients
    else:
        base = np.concatenate([[0.0], g])
        kinds = {"plain": lambda: g, "read-only": lambda: read_only(g), "own dtype": lambda: with_own_dtype(g)}
        kinds |= {"bytes": lambda: np.frombuffer(g.tobytes()), "view": lambda: base[1:]}
        g = kinds[kind]()
    opt.step(g)
    assert w.tobytes() == expected.tobytes()
    assert len(kernel.signatures) == compiled


def test_a_parameter_whose_dtype_is_another_object_steps_as_fast():
    """The kernel reads the headers itself; what it refuses is looked at one by one in Python."""
    w = with_own_dtype(np.ones(4))
    opt = fa.ADAGRAD(params=w)
    opt.step(np.ones(4))
    [bucket] = opt._session.engine.stepping.units
    bucket.locate_by_hand = None
    opt.step(np.full(4, 2.0))
    assert opt.steps == 2


def test_buffers():
    params = {"a": np.zeros((2, 3)), "b": np.zeros(4, F4)}
    opt = fa.ADAGRAD(params=params, learning_rate=1.0)
    with pytest.raises(RuntimeError, match=r"opt\.gradients"):
        opt.step()
    buffers = opt.gradients
    assert list(buffers) == ["a", "b"]
    assert [(g.shape, g.dtype) for g in buffers.values()] == [(p.shape, p.dtype) for p in params.values()]
    assert all(g.ctypes.data % 64 == 0 for g in buffers.values())
    assert all(g is h for g, h in zip(buffers.values(), opt.gradients.values(), strict=True))
    with pytest.raises(TypeError):
        buffers["a"] = np.ones((2, 3))
    buffers["a"][...] = 1
    buffers["b"][...] = -1
    opt.step()
    assert (params["a"].round(6) == -1).all()
    assert (params["b"].round(6) == 1).all()
    listed = fa.ADAGRAD(params=[np.zeros(2), np.zeros(3)])
    with pytest.raises(TypeError):
        listed.gradients[0] = np.ones(2)
    for buffer in listed.gradients:
        buffer[:] = 1
    listed.step(listed.gradients)
    listed.step()
    assert listed.steps == 2


def moved(w):
    w.resize(1 << 20, refcheck=False)


def read_only_later(w):
    w.flags.writeable = False


def shrunk(w):
    w.resize(5, refcheck=False)


@pytest.mark.parametrize("change", [moved, read_only_later, shrunk])
def test_a_parameter_that_changed_under_the_optimizer(change):
    w = np.ones(10)
    opt = fa.ADAGRAD(params=w)
    change(w)
    with pytest.raises(ValueError, match="'param0'"):
        opt.step(np.ones(w.shape))
    assert opt.steps == 0


@pytest.mark.parametrize("dtype", [F4, F8])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 4999, 5000])
@pytest.mark.parametrize("parallel_from", [1 << 17, 0], ids=["serial", "threaded"])
def test_nonfinite(dtype, value, place, parallel_from, monkeypatch):
    monkeypatch.setattr(host, "PARALLEL_FROM", parallel_from)
    g = np.ones(5001, dtype)
    g[place] = value
    for nonfinite in ("raise", "skip", "ignore"):
        w = np.ones(5001, dtype)
        opt = fa.ADAGRAD(params=w, nonfinite=nonfinite, learning_rate=1.0)
        if nonfinite == "raise":
            with pytest.raises(FloatingPointError, match=r"'param0'.*finite"):
                opt.step(g)
        else:
            opt.step(g)
        changed = nonfinite == "ignore"
        assert ((w != 1).all(), opt.steps, opt.skipped) == (changed, changed, nonfinite == "skip")


@pytest.mark.parametrize("limit", ["max_gradient_norm", "max_global_norm"])
def test_a_norm_that_overflows_is_not_finite(limit):
    w, v, g = np.ones(3), np.ones(2, F4), [np.full(3, 1e200), np.ones(2, F4)]
    opt = fa.ADAGRAD(params=[w, v], **{limit: 1.0})
    with pytest.raises(FloatingPointError, match=r"'param0'.*norm"):
        opt.step(g)
    assert (w == 1).all()
    assert (v == 1).all()
    opt.hyper.nonfinite = "skip"
    opt.step(g)
    assert (opt.steps, opt.skipped) == (0, 1)


def test_global_norm_overflows_though_no_single_one_does():
    opt = fa.ADAGRAD(params=[np.ones(1), np.ones(1)], max_global_norm=1.0)
    with pytest.raises(FloatingPointError):
        opt.step([np.full(1, 1.3e154), np.full(1, 1.3e154)])


@pytest.mark.parametrize("nonfinite", ["raise", "ignore"])
def test_clipping_one_group_leaves_the_other_alone(nonfinite):
    """A norm that nobody asked for must not refuse, scale or spoil anything."""
    params = {"clipped": np.zeros(2), "free": np.zeros(2)}
    opt = fa.ADAGRAD(
        params=params,
        learning_rate=1.0,
        weight_decay=1e-3,
        nonfinite=nonfinite,
        groups={"clipped": {"max_gradient_norm": 1.0}},
    )
    with np.errstate(all="raise"), warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        opt.step({"clipped": np.array([3.0, 4.0]), "free": np.array([1e200, 1.0])})
    assert params["free"][1].round(6) == -1
    assert opt.state["clipped"]["accumulator"].round(6).tolist() == [0.36, 0.64]


def test_an_infinite_accumulator_is_warned_of_once():
    params = [np.zeros(2, F4), np.zeros(2), np.zeros(2, F4)]
    opt = fa.ADAGRAD(params=params, learning_rate=1.0)
    g, large = [np.ones(2, F4), np.ones(2), np.ones(2, F4)], np.array([1e20, 1], F4)
    with pytest.warns(RuntimeWarning, match=r"accumulator of 'param2'.*infinite") as caught:
        opt.step([g[0], g[1], large])
    assert [warning.filename for warning in caught] == [__file__]
    opt.step(g)  # once is enough
    with pytest.warns(RuntimeWarning, match=r"accumulator of 'param0'.*infinite") as caught:
        opt.step([large, g[1], g[2]])
    assert len(caught) == 1
    assert opt.steps == 3


def test_an_infinite_accumulator_is_logged_where_warnings_are_errors(caplog):
    """The step has been made: one that raises would have changed nothing."""
    params = [np.zeros(2, F4), np.zeros(2)]
    opt = fa.ADAGRAD(params=params, learning_rate=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opt.step([np.array([1e20, 1], F4), np.ones(2)])
    assert opt.steps == 1
    assert (params[1] < -0.9).all()
    [record] = caplog.records
    assert "accumulator of 'param0' has become infinite" in record.getMessage()


def test_frozen_and_thawed():
    params = {"w": np.zeros(2), "b": np.zeros(2)}
    opt = fa.ADAGRAD(params=params, learning_rate=1.0, groups={"b": {"frozen": True}})
    opt.step({"w": np.ones(2), "b": None})
    opt.step({"w": np.ones(2), "b": "anything"})
    assert params["b"].tolist() == [0, 0]
    assert not opt.state["b"]
    assert [name for name, _ in opt.get_updates()] == ["w"]
    opt.hyper.groups = {}
    with pytest.raises(TypeError, match="'b'"):
        opt.step({"w": np.ones(2), "b": None})
    opt.step({"w": np.ones(2), "b": np.ones(2)})
    assert params["b"].round(6).tolist() == [-1, -1]
    opt.hyper.groups = {"w": {"frozen": True}, "b": {"frozen": True}}
    opt.step({"w": None, "b": None})
    assert opt.steps == 4


def test_a_learning_rate_callable_gets_each_step_once_and_skipped_steps_do_not_count():
    asked = []

    def rate(t):
        asked.append(t)
        return 1.0 if t < 2 else 0.0

    params = {"w": np.zeros(2), "v": np.zeros(2, F4), "x": np.zeros(1)}
    opt = fa.ADAGRAD(params=params, learning_rate=rate, nonfinite="skip", groups={"x": {"rms_regularizer": 1e-3}})
    g = {"w": np.ones(2), "v": np.ones(2, F4), "x": np.ones(1)}
    opt.step(g)
    opt.step({**g, "w": np.full(2, np.nan)})
    opt.step(g)
    before = params["w"].copy()
    opt.step(g)
    assert asked == [0, 1, 1, 2]
    assert (opt.steps, opt.skipped) == (3, 1)
    assert params["w"].tolist() == before.tolist()


@pytest.mark.parametrize("rate", [math.nan, -1.0, "fast", None, [0.1, 0.2]])
def test_a_bad_learning_rate_from_a_callable_changes_nothing(rate):
    w = np.ones(2)
    opt = fa.ADAGRAD(params=w, learning_rate=lambda t: 0.1 if t == 0 else rate)
    opt.step(np.ones(2))
    before = snapshot(opt)
    with pytest.raises((TypeError, ValueError), match=r"learning_rate\(1\)"):
        opt.step(np.ones(2))
    assert snapshot(opt) == before


def test_lr_decay():
    w = np.zeros(1)
    opt = fa.ADAGRAD(params=w, learning_rate=1.0, lr_decay=1.0, rms_regularizer=0)
    G, expected = 0.0, 0.0
    for t in range(4):
        opt.step(np.ones(1))
        G += 1
        expected -= 1.0 / (1 + t) / math.sqrt(G)
        assert w[0] == pytest.approx(expected, rel=1e-15)


def test_momentum_switched_on_off_on():
    w = np.zeros(1)
    opt = fa.ADAGRAD(params=w, learning_rate=1.0, rms_regularizer=0)
    p, v, G = 0.0, 0.0, 0.0
    for m in (0.0, 0.9, 0.9, 0.0, 0.0, 0.5, 0.5):
        opt.hyper.momentum = m
        opt.step(np.ones(1))
        G += 1
        v = m * v - 1 / math.sqrt(G) if m else 0.0  # a plain step leaves no velocity
        p += v if m else -1 / math.sqrt(G)
        assert w[0] == pytest.approx(p, rel=1e-15)


def test_a_refused_plain_step_keeps_the_velocity():
    opt = three()
    opt.hyper.momentum = 0
    before = snapshot(opt)
    with pytest.raises(TypeError):
        opt.step([*good()[:2], None])
    assert snapshot(opt) == before


def test_constant_memory():
    n = 20_000_000
    w, g = np.ones(n, F4), np.full(n, 0.5, F4)
    for hyper in ({}, {"momentum": 0.9}, {"max_gradient_norm": 1.0}):
        opt = fa.ADAGRAD(params=w, **hyper)
        opt.step(g)
        tracemalloc.start()
        opt.step(g)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 100_000
        del opt


def test_get_updates_follow_the_hyperparameters():
    params = {"w": np.zeros(1), "v": np.zeros(1)}
    opt = fa.ADAGRAD(params=params)
    updates = dict(opt.get_updates(learning_rate=1.0))
    assert opt.hyper.learning_rate == 1.0
    updates["w"](np.ones(1))
    assert params["w"].round(6) == -1
    assert params["v"] == 0
    opt.hyper.learning_rate = 0.0
    updates["w"](np.ones(1))
    assert params["w"].round(6) == -1
    assert (updates["w"].steps, updates["v"].steps, opt.steps) == (2, 0, 0)
    opt.hyper.max_global_norm = 1.0
    with pytest.raises(ValueError, match="max_global_norm"):
        updates["w"](np.ones(1))
    with pytest.raises(ValueError, match="max_global_norm"):
        opt.get_updates()


@pytest.mark.parametrize("bad", [None, np.ones(2), np.ones(1, F4), np.full(1, np.nan), 1.0])
def test_a_refused_update_changes_nothing(bad):
    w = np.ones(1)
    opt = fa.ADAGRAD(params={"w": w, "v": np.ones(1)}, momentum=0.9)
    [(_, update), _] = opt.get_updates()
    update(np.ones(1))
    before = snapshot(opt)
    with pytest.raises((TypeError, ValueError, FloatingPointError), match="'w'"):
        update(bad)
    assert snapshot(opt) == before
    assert update.steps == 1


def test_an_update_leaves_the_other_parameters_alone():
    params = {"w": np.ones(1), "v": np.ones(1)}
    opt = fa.ADAGRAD(params=params, momentum=0.9)
    opt.step({"w": np.ones(1), "v": np.ones(1)})
    velocity = opt.state["v"]["velocity"].tolist()
    update = dict(opt.get_updates(momentum=0.0))["w"]
    update(np.ones(1))
    assert opt.state["w"]["velocity"].tolist() == [0]
    assert opt.state["v"]["velocity"].tolist() == velocity


def test_updates_count_each_parameter_for_itself():
    asked = []
    params = {"w": np.zeros(1), "v": np.zeros(1)}
    opt = fa.ADAGRAD(params=params, nonfinite="skip")
    updates = dict(opt.get_updates(learning_rate=lambda t: asked.append(t) or 0.1))
    for name, g in (("w", 1.0), ("w", math.nan), ("w", 1.0), ("v", 1.0)):
        updates[name](np.full(1, g))
    assert asked == [0, 1, 1, 0]
    assert [update.steps for update in updates.values()] == [2, 1]


def test_reset_forgets_all_but_the_parameters():
    w, expected = np.zeros(2), np.zeros(2)
    opt = fa.ADAGRAD(params=w, learning_rate=0.1, momentum=0.9, initial_accumulator_value=0.5)
    other = fa.ADAGRAD(params=expected, learning_rate=0.1, momentum=0.9, initial_accumulator_value=0.5)
    opt.step(np.ones(2))
    opt.reset()
    expected[:] = w
    assert (opt.steps, opt.best, opt.history) == (0, None, [])
    opt.step(np.ones(2))
    other.step(np.ones(2))
    assert w.tobytes() == expected.tobytes()


def test_signature_begins_with_downhills_six():
    names = list(inspect.signature(fa.ADAGRAD.__init__).parameters)[1:7]
    assert names == ["loss", "params", "inputs", "updates", "monitors", "monitor_gradients"]
