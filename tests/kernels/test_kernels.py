"""What the compiled code must be, beside right: float32 throughout, vectorised, cached on disk, never stale."""

import os
import re
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
from explicit import EXPLICIT
from numba import float64, int64, njit, typeof
from numba.core.errors import NumbaError

import fastadagrad as fa
from fastadagrad.data.loading import load
from fastadagrad.kernels.cpu import rows
from fastadagrad.kernels.cpu.statistics import make_measure
from fastadagrad.kernels.cpu.tensors import make_driver
from fastadagrad.kernels.jit import OPTIONS as OPTIONS_OF_JIT
from fastadagrad.kernels.linear import passes, scoring
from fastadagrad.kernels.memory import addresses, headers
from fastadagrad.kernels.rules import adagrad, form_of, trait
from fastadagrad.kernels.text import csr, svmlight
from fastadagrad.linear import LinearModel
from fastadagrad.optimizer.methods import METHODS

OPTIONS = {
    "plain": {},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "penalised": {"l1": 0.1, "l2": 0.1, "weight_decay": 0.1, "max_gradient_elem": 1.0, "decoupled_weight_decay": 0.1},
}


def llvm_without_unboxing(function, signature):
    fresh = njit(**{**OPTIONS_OF_JIT, "cache": False})(function)  # cached code cannot be inspected
    fresh.compile(signature)
    bodies = re.split(r"^(?=define )", next(iter(fresh.inspect_llvm().values())), flags=re.MULTILINE)[1:]
    return "".join(body for body in bodies if "@_ZN7cpython" not in body.splitlines()[0])


@cache
def llvm_of(option, dtype):
    """The driver that `opt.step` calls."""
    bucket = fa.ADAGRAD(params=np.ones(10, dtype), **OPTIONS[option])._session.engine.stepping.units[0]
    rows_of_int, real = int64[:, ::1], typeof(dtype(0))
    signature = (int64, int64, int64, rows_of_int, real[:, ::1], rows_of_int, float64[::1], float64[::1])
    return llvm_without_unboxing(bucket._driver.serial.py_func, signature)


def llvm_of_loop(option, dtype):
    """The same loop without the float64 sums of the driver's survey of the gradients."""
    kit = fa.compiled_update(dtype=dtype, learning_rate=0.1, **OPTIONS[option])
    p = np.ones(10, dtype)
    signature = tuple(map(typeof, (p, p, kit.slots(p), kit.scalars())))
    return llvm_without_unboxing(kit.update.py_func, signature)


@pytest.mark.parametrize("option", OPTIONS)
def test_float32_loops_hold_no_float64(option):
    assert "double" not in llvm_of_loop(option, np.float32)


@pytest.mark.parametrize(("dtype", "kind"), [(np.float32, "f32"), (np.float64, "f64")])
@pytest.mark.parametrize("option", OPTIONS)
def test_loops_are_vectorised(option, dtype, kind):
    assert re.search(rf"llvm\.sqrt\.v\d+{kind}", llvm_of(option, dtype))


@pytest.mark.parametrize("option", OPTIONS)
def test_nothing_is_contracted_or_approximated(option):
    llvm = llvm_of(option, np.float32)
    assert "llvm.fma" not in llvm
    assert "llvm.fmuladd" not in llvm
    assert not re.search(r"f(add|sub|mul|div) (fast|reassoc|contract|arcp|afn)", llvm)


FLOAT32 = np.dtype(np.float32)


@pytest.fixture(scope="module")
def called(tmp_path_factory):
    """Kernels and their signatures, after reading a text, fitting it, predicting, and stepping rows."""
    path = tmp_path_factory.mktemp("text") / "examples.svm"
    path.write_text("".join(f"{n % 2} {n + 1}:1 {n + 5}:2\n" for n in range(8)))
    examples = load(path)
    LinearModel(max_epochs=1).fit(examples).predict(examples)
    LinearModel(max_epochs=1, **EXPLICIT).fit(examples)
    LinearModel(max_epochs=1, batch_size=2).fit(examples)
    LinearModel(max_epochs=1, l1=0.1, **EXPLICIT).fit(examples)
    ones = fa.Rows(np.array([1, 3]), np.ones((2, 2), FLOAT32))
    fa.ADAGRAD(params=np.zeros((8, 2), FLOAT32), threads=1, accumulator="row").step(ones)
    loops = passes.make_loops(adagrad, "plain", True, "sparse", False, False, FLOAT32)
    implicit = passes.make_loops(adagrad, "plain", True, "sparse", False, False, FLOAT32, implicit=True)
    exact = passes.make_loops(adagrad, "plain", False, "sparse", False, True, FLOAT32)
    kernels = {
        "scan": svmlight.scan,
        "online": loops.online,
        "online_implicit": implicit.online,
        "online_exact": exact.online,
        "batches": loops.batches,
        "survey": csr.survey,
        "score_all": scoring.make_score_all("sparse", False, np.dtype(np.float64)),
        "step_rows": rows.make_update(adagrad, "plain", "row", False, False, True, FLOAT32).serial,
    }
    found = {name: (kernel.py_func, kernel.signatures[0]) for name, kernel in kernels.items()}
    return {**found, "read_gradients": (addresses.read_gradients.py_func, (int64, int64[:, ::1], int64[:, ::1], int64))}


@pytest.mark.parametrize(
    "name",
    [
        "scan",
        "survey",
        "online",
        "online_implicit",
        "online_exact",
        "batches",
        "score_all",
        "step_rows",
        "read_gradients",
    ],
)
def test_no_references_are_counted(called, name):
    """Each count is an atomic operation, and one for each row or tensor would be most of the work."""
    assert "call void @NRT_incref(" not in llvm_without_unboxing(*called[name])


@pytest.mark.parametrize("name", ["online", "online_implicit"])
def test_weights_of_a_sparse_row_are_stepped_as_vectors(called, name):
    assert re.search(r"llvm\.sqrt\.v\d+f32", llvm_without_unboxing(*called[name]))


def test_weights_of_a_sparse_row_catch_up_with_l1_as_vectors(called):
    assert re.search(r"llvm\.sqrt\.v\d+f64", llvm_without_unboxing(*called["online_exact"]))


STEP = """
import numpy as np, fastadagrad as fa
from fastadagrad.kernels.cpu.tensors import make_driver
p = np.ones(3)
fa.ADAGRAD(params=p).step(p)
used = make_driver(adagrad, "plain", "element", True, p.dtype).serial
"""
FIT = """
import numpy as np
from fastadagrad.kernels.linear.passes import make_loops
from fastadagrad.linear import LinearModel
from fastadagrad.data.tables import CSR
X = CSR(np.ones(3, np.float32), np.array([0, 1, 1], np.int32), np.array([0, 1, 3]), (2, 9))
LinearModel(learning_rate=1).fit(X, [0, 1])
used = make_loops(adagrad, "plain", True, "sparse", False, False, X.data.dtype, implicit=True).online
"""
PROBE = """
from fastadagrad.kernels.rules import adagrad
{work}
print(sum(used.stats.cache_hits.values()), sum(used.stats.cache_misses.values()))
"""


@pytest.mark.parametrize("work", [STEP, pytest.param(FIT, marks=pytest.mark.slow)], ids=["step", "fit"])
def test_a_second_process_compiles_nothing(tmp_path, work):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", PROBE.format(work=work)]
    runs = [subprocess.run(command, env=environment, capture_output=True, text=True, check=True) for _ in range(2)]
    assert [run.stdout.split() for run in runs] == [["0", "1"], ["1", "0"]]


KEYS = """
import itertools, sys
import numpy as np
from fastadagrad.kernels.linear.passes import make_loops
from fastadagrad.kernels.rules import adagrad
variants = itertools.product(("plain", "momentum", "nesterov"), (True, False), ("dense", "sparse"))
keys = {}
for motion, exact, layout in list(variants)[:: int(sys.argv[1])]:
    for loop in make_loops(adagrad, motion, not exact, layout, False, exact, np.dtype(np.float32)):
        keys[motion, exact, layout, loop.__name__] = loop._cache._name((), loop.targetctx.codegen())
print(sorted(keys.items()))
"""


def test_what_was_made_before_does_not_change_the_key_of_the_cache():
    """An object that is the same one in two closures, in one order only, would."""
    command = [sys.executable, "-c", KEYS]
    found = [subprocess.run([*command, step], capture_output=True, text=True, check=True) for step in ("1", "-1")]
    assert found[0].stdout == found[1].stdout != "[]"


@pytest.mark.parametrize("method", METHODS)
def test_every_kernel_can_be_kept(method):
    """None goes by what has no digest."""
    rule = METHODS[method].rule
    form, single = form_of(rule, rule.Hyperparameters()), np.dtype(np.float32)
    pairs = [make_driver(form, "plain", "element", False, single)]
    pairs += [rows.make_update(form, "plain", "element", False, False, False, single)]
    pairs += [make_measure(form, single)] if trait(form, "measured") else []
    for kernel in [kernel for pair in pairs for kernel in (pair.serial, pair.threaded)]:
        assert kernel._cache._name((), kernel.targetctx.codegen()) is not None


def test_array_headers_are_where_they_are_expected():
    assert headers.supported()


def test_compiled_and_plain_rule_agree():
    s = fa.compiled_update(learning_rate=0.1, rms_regularizer=1e-3).scalars()
    g, G = 0.3, 0.04
    assert adagrad.accumulate(0.0, g, g * g, (G,), s) == (G + g * g,)
    assert adagrad.delta(g, adagrad.scale((G,), s), (G,), s) == (0.1 * g / (G**0.5 + 1e-3), (G,))


def test_only_arrays_are_borrowed():
    @njit
    def borrow(array):
        return headers.borrowed((array, "text"))[0].size

    with pytest.raises(NumbaError, match="only arrays can be borrowed"):
        borrow(np.ones(3))


@pytest.mark.parametrize("step", [1, 2])
def test_an_update_by_what_numba_does_not_know_to_be_contiguous(step):
    """It works on a copy of its own, of a size that is given back to the system at once."""
    n = 3_000_000
    kit = fa.compiled_update(learning_rate=0.1)
    update = kit.update

    @njit
    def run(p, g, slots, s, step):
        update(p, g[:, ::step], slots, s)

    g = np.random.default_rng(0).normal(size=(1, step * n))
    p, expected = np.zeros((1, n)), np.zeros((1, n))
    run(p, g, kit.slots(p), kit.scalars(), step)
    update(expected, g[:, ::step].copy(), kit.slots(p), kit.scalars())
    np.testing.assert_array_equal(p, expected)
