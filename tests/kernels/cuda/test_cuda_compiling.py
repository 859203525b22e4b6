"""The compiler of CUDA kernels: it needs nothing but Numba, and refuses what GPUs do not compute as the CPU does."""

import math

import numpy as np
import ptx
import pytest
from cuda_kernels import CC
from numba import njit, types
from processes import run

from fastadagrad.kernels.cuda import compiling, finite, nvptx
from fastadagrad.kernels.cuda.compiling import compile_kernel
from fastadagrad.kernels.cuda.memory import make_access
from fastadagrad.kernels.jit import jitable

WITHOUT = """
    import sys, threading, warnings
    warnings.simplefilter("error")
    sys.modules["numba.cuda"] = sys.modules["numba_cuda"] = sys.modules["cuda"] = None
    import numpy as np
    from fastadagrad.kernels.cuda import finite

    def compile(dtype):
        kernel = finite.make_finite_check(np.dtype(dtype), (9, 0)).vectors
        assert f".entry {kernel.name}(" in kernel.ptx
        print(kernel.name.split("_")[1])

    threads = [threading.Thread(target=compile, args=(dtype,)) for dtype in ("float32", "float64")]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
"""


def test_without_any_package_for_cuda_and_in_two_threads(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))  # nothing is kept there
    done = run(WITHOUT)
    assert done.stderr == "", done.stderr
    assert set(done.stdout.splitlines()) == {"float32", "float64"}


def compiled(formula, dtype=np.float32, capability=CC):
    """The kernel that puts ``formula(x)`` in the place of a number x."""
    access, formula = make_access(np.dtype(dtype)), jitable(formula)
    load, store = access.load, access.store

    def kernel(address):
        store(address, formula(load(address)))

    return compile_kernel("test", kernel, (types.uint64,), capability)


def computed(formula, x, dtype):
    array = np.array([x], dtype)
    ptx.launch(compiled(formula, dtype).ptx, 1, 1, [array.ctypes.data], [array])
    return array[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("formula", "x", "expected"),
    [
        (lambda x: math.sqrt(x), 2, np.sqrt),
        (lambda x: np.sqrt(x), 3, np.sqrt),
        (lambda x: abs(x), -2, np.abs),
        (lambda x: math.copysign(x, -x), 2, np.negative),
        (lambda x: math.floor(x), -2.5, np.floor),
        (lambda x: math.ceil(x), -2.5, np.ceil),
        (lambda x: x / (x + x + x), 2, lambda x: x / (x + x + x)),
        (lambda x: x**3, 1.1, lambda x: x * x * x),
        (lambda x: min(x, -x), 2, np.negative),
        (lambda x: -x if math.isnan(x) else x, 2, lambda x: x),
    ],
    ids=["sqrt", "NumPy's", "abs", "copysign", "floor", "ceil", "quotient", "cube", "min", "isnan"],
)
def test_what_gpus_compute_exactly(formula, x, expected, dtype):
    assert computed(formula, x, dtype) == expected(dtype(x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("formula", "what"),
    [
        (lambda x: math.exp(x), r"llvm\.exp\."),
        (lambda x: np.log(x), r"llvm\.log\."),
        (lambda x: math.log1p(x), "log1p"),
        (lambda x: x**x, r"llvm\.pow\."),
        (lambda x: math.sin(x), r"llvm\.sin\."),
        (lambda x: math.tanh(x), "tanh"),
        (lambda x: math.hypot(x, x), "hypot"),
        (lambda x: x % x, "the remainder of floats"),
    ],
    ids=["exp", "log", "log1p", "power", "sin", "tanh", "hypot", "remainder"],
)
def test_what_they_do_not_is_refused(formula, what, dtype):
    """LLVM would end the process where it is given a function that GPUs lack."""
    with pytest.raises(RuntimeError, match=f"kernel test would not have the bits of the CPU's: it calls.*{what}"):
        compiled(formula, dtype)


@njit
def third_of(x):
    return x / (x + x + x)


@njit(fastmath=True)
def fast_third_of(x):
    return third_of(x)


@njit
def fast_sum(x):
    return x + fast_third_of(x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("x", [2.0, 0.0], ids=str)
def test_functions_that_somebody_else_has_compiled(x, dtype):
    """Where they divide by 0, the quotient is NaN, as there is nobody to catch an error."""
    with np.errstate(invalid="ignore"):
        expected = dtype(x) / (dtype(x) + dtype(x) + dtype(x))
    np.testing.assert_array_equal(computed(lambda x: third_of(x), x, dtype), expected)


@pytest.mark.parametrize("formula", [lambda x: fast_third_of(x), lambda x: fast_sum(x)], ids=["itself", "within"])
def test_functions_that_are_compiled_with_fastmath_are_refused(formula):
    with pytest.raises(RuntimeError, match=r"it calls test_cuda_compiling\.fast_third_of, which is .* with fastmath"):
        compiled(formula)


def test_contraction_is_refused(monkeypatch):
    """A product and a sum that become one operation round once, and such code must not be used."""
    monkeypatch.setattr(compiling, "ptx_of", lambda *args: nvptx.ptx_of(*args).replace("add.rn.f32", "fma.rn.f32"))
    with pytest.raises(RuntimeError, match=r"this LLVM has made fma\.rn\.f32 of it"):
        compiled(lambda x: x * x + x)


@pytest.mark.parametrize(
    ("capability", "target"),
    [((5, 0), "sm_50"), ((7, 5), "sm_75"), ((8, 9), "sm_80"), ((9, 0), "sm_90"), ((12, 1), "sm_90")],
    ids=str,
)
def test_code_for_each_gpu(capability, target):
    """Later GPUs run the code for earlier ones, and of a version of PTX that drivers since 525 know."""
    text = compiled(lambda x: x + x, capability=capability).ptx
    assert f".target {target}\n" in text
    assert ".version 8.0\n" in text


def test_a_gpu_that_is_too_old():
    with pytest.raises(RuntimeError, match=r"capability 5\.0 or newer, and this one has 3\.5: use host arrays"):
        compiled(lambda x: x, capability=(3, 5))


def test_an_llvm_that_is_too_old(monkeypatch):
    monkeypatch.setattr(nvptx.llvm, "llvm_version_info", (15, 0, 7))
    nvptx.require_llvm.cache_clear()
    with pytest.raises(RuntimeError, match=r"LLVM 16 or newer, and llvmlite .* has 15: pip install 'numba>=0\.62'"):
        nvptx.require_llvm()


def test_names_say_what_and_the_kernel_is_the_only_thing_that_is_seen():
    kernel = finite.make_finite_check_of_many(np.dtype(np.float32), CC)
    assert kernel.ptx.count(".visible") == 1
    assert f".visible .entry {kernel.name}(" in kernel.ptx
    assert ".func" not in kernel.ptx
    assert "Numba" not in kernel.ptx
