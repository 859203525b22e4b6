"""Updates that users call in CUDA kernels of their own, which another compiler makes; its PTX is run on the CPU."""

import copy
import pickle
import re
import runpy
import sys
from importlib import import_module
from math import log
from types import SimpleNamespace

import numba
import numpy as np
import pytest
from averaged import changed, registered
from cuda_updates import CASES, COMPILERS, VARIANTS, NumbaCuda, algo_of, assert_steps_agree, compiler
from gpu import why_no_hardware
from oracle import bits_differ
from places import ROOT

import fastadagrad as fa
from fastadagrad.kernels.cuda import device_functions
from fastadagrad.kernels.memory.storage import BFLOAT16
from fastadagrad.support import extras

__all__ = ["compiler", "registered"]
F4 = np.float32


def kernel_of(cuda, update):
    """A user's kernel, whose gradient is given."""

    def kernel(p, g, slots, s):
        i = cuda.grid(1)
        if i < p.size:
            update(p, i, g[i], slots, s)

    return kernel


@pytest.mark.parametrize(("name", "variant", "dtype"), CASES)
def test_has_the_bits_of_the_cpu_in_a_users_kernel(compiler, name, variant, dtype):
    kit = fa.compiled_update(algo_of(name), dtype=dtype, target=compiler.target, **VARIANTS[name, variant])
    kernel, text = kernel_of(compiler.cuda, kit.update), []

    def step(t, p, g, slots):
        arguments = p, g, slots, kit.scalars(t)
        text[:] = text or [compiler.compiled(kernel, arguments)]
        compiler.run(text[0], arguments)

    assert_steps_agree(name, variant, dtype, step)
    operations = re.findall(r"^\s*((?:fma|mad|mul|add|sub|div|sqrt|rcp|rsqrt)\.\S*f\d\d)\s", text[0], re.M)
    assert {*operations} <= {f"{op}.rn.f{8 * dtype().itemsize}" for op in ("mul", "add", "sub", "div", "sqrt")}
    assert dtype is not F4 or "f64" not in text[0]


def test_whatever_the_kernel_is_compiled_with(compiler):
    """Its own product and sum are contracted, and those of the update are not."""
    kit = fa.compiled_update(dtype=F4, learning_rate=0.5, weight_decay=0.1, target=compiler.target)
    update, cuda = kit.update, compiler.cuda

    def kernel(p, g, slots, s):
        i = cuda.grid(1)
        if i < p.size:
            update(p, i, g[i] * g[i] + p[i], slots, s)

    p, s = np.ones(3, F4), kit.scalars()
    for fast in (False, True):
        text = compiler.compiled(kernel, (p, p, kit.slots(p), s), fastmath=fast)
        block = text[text.index("fastadagrad_") : text.rindex("fastadagrad_")]
        assert re.search(r"fma\.rn\.(ftz\.)?f32", text.replace(block, ""))
        assert {"mul.rn.f32", "add.rn.f32", "div.rn.f32", "sqrt.rn.f32"} <= {*block.split()}
        assert not {"fma", "ftz", "approx"} & {*re.split(r"[\s.]", block)}


def linked(code, *options):
    """What NVIDIA's linker makes of code that it may still optimise, for GPUs of compute capability 9.0."""
    linker = pytest.importorskip("cuda.bindings.nvjitlink", reason="needs the linker of CUDA, which the compilers need")
    made = linker.create(1 + len(options), ["-arch=sm_90", *options])
    linker.add_data(made, linker.InputType.LTOIR, code, len(code), "kernel")
    linker.complete(made)
    as_ptx = "-ptx" in options
    text = bytearray((linker.get_linked_ptx_size if as_ptx else linker.get_linked_cubin_size)(made))
    (linker.get_linked_ptx if as_ptx else linker.get_linked_cubin)(made, text)
    return bytes(text)


def test_optimised_by_the_linker(compiler):
    """As numba-cuda has its kernels optimised by default."""
    kit = fa.compiled_update(dtype=F4, l1=0.1, target=compiler.target)
    p = np.ones(3, F4)
    arguments = p, p, kit.slots(p), kit.scalars()
    kernel = kernel_of(compiler.cuda, kit.update)
    block = re.compile(r"fastadagrad_.*fastadagrad_end:", re.DOTALL)
    [before] = block.findall(compiler.compiled(kernel, arguments))
    code = compiler.optimisable(kernel, arguments)
    [after] = block.findall(linked(code, "-lto", "-ptx").decode())
    operations = re.compile(r"\b[a-z]+\.\w+\.f32")
    assert operations.findall(after) == operations.findall(before) != []
    assert linked(code, "-lto").startswith(b"\x7fELF")


def test_twice_in_a_kernel_and_at_indices_of_two_axes(compiler):
    """The second step goes on from the first; labels of both are apart."""
    kit = fa.compiled_update(dtype=F4, learning_rate=0.5, l1=0.1, ndim=2, target=compiler.target)
    update, cuda = kit.update, compiler.cuda

    def kernel(p, g, slots, s):
        i = cuda.grid(1)
        if i < p.size:
            at = i // p.shape[1], i % p.shape[1]
            update(p, at, g[at], slots, s)
            update(p, at, -g[at] * -1.0, slots, s)  # as float64, which the update rounds

    rng = np.random.default_rng(0)
    p, g = rng.standard_normal((2, 5, 3)).astype(F4)
    expected, slots, s = p.copy(), kit.slots(p), kit.scalars()
    on_cpu = fa.compiled_update(dtype=F4, learning_rate=0.5, l1=0.1, ndim=2)
    slots_on_cpu = on_cpu.slots(p)
    compiler.run(compiler.compiled(kernel, (p, g, slots, s)), (p, g, slots, s))
    for gradient in (g, g):
        on_cpu.update(expected, gradient, slots_on_cpu, s)
    assert bits_differ(p, expected) == bits_differ(slots[0], slots_on_cpu[0]) == 0


@pytest.mark.parametrize("which", ["p", "slots", "s"])
def test_arguments_of_another_dtype_are_refused(compiler, which):
    kit, other = (fa.compiled_update(dtype=dtype, target=compiler.target) for dtype in (F4, np.float64))
    p, q = np.ones(3, F4), np.ones(3)
    given = {"p": p, "g": p, "slots": kit.slots(p), "s": kit.scalars()}
    given[which] = {"p": q, "slots": other.slots(q), "s": other.scalars()}[which]
    with pytest.raises(
        Exception, match=rf"{which} must be of float32, which the update is compiled for, and not of fl"
    ):
        compiler.compiled(kernel_of(compiler.cuda, kit.update), tuple(given.values()))


def test_pickled_copied_and_shown(compiler):
    kit = fa.compiled_update("adam", dtype=F4, learning_rate=0.5, target=compiler.target)
    assert repr(kit) == "CudaUpdate('adam', learning_rate=0.5; float32)"
    assert copy.copy(kit) is kit
    assert pickle.loads(pickle.dumps(kit)).update is kit.update


def test_the_kernels_of_the_example(compiler):
    example = runpy.run_path(str(ROOT / "examples" / "numba_cuda_logistic.py"))
    kit = fa.compiled_update(dtype=F4, learning_rate=0.1, target=compiler.target)
    find_errors, step_weights = example["kernels"](compiler.cuda, kit.update)
    X, y, w = example["problem"](8, 3)
    error = np.zeros(4, F4)
    assert "ex2.approx" in compiler.compiled(find_errors.py_func, (X, y, w, 4, error))
    text = compiler.compiled(step_weights.py_func, (X, error, 4, w, kit.slots(w), kit.scalars()))
    assert "sqrt.rn.f32 fastadagrad_" in text


@pytest.mark.gpu
@pytest.mark.parametrize("kind", COMPILERS, ids=lambda kind: kind.target)
def test_on_a_real_gpu(kind):
    pytest.importorskip(kind.package, reason=f"needs a GPU and a compiler of kernels: {kind.installed_by}")
    if why_no_hardware() is not None:
        pytest.skip(why_no_hardware())
    cuda = import_module("numba.cuda" if kind.package == "numba_cuda" else "numba_cuda_mlir.cuda")
    p, g = np.random.default_rng(0).standard_normal((2, 1000)).astype(F4)
    there, on_cpu = (fa.compiled_update(dtype=F4, momentum=0.9, target=target) for target in (kind.target, "cpu"))
    slots, arrays = on_cpu.slots(p), [cuda.to_device(a) for a in (p, g, *on_cpu.slots(p))]
    kernel = cuda.jit(kernel_of(cuda, there.update))
    for t in range(3):
        kernel[8, 128](arrays[0], arrays[1], tuple(arrays[2:]), there.scalars(t))
        on_cpu.update(p, g, slots, on_cpu.scalars(t))
    for found, expected in zip((arrays[0], *arrays[2:]), (p, *slots), strict=True):
        assert bits_differ(found.copy_to_host(), expected) == 0


# Without a compiler


@pytest.fixture
def pretended(monkeypatch):
    """Pretend that both compilers are there, none of which makes anything; the targets that were asked for."""
    asked = []

    def make(*arguments):
        asked.append(arguments[-1])
        return print

    monkeypatch.setattr(device_functions, "is_installed", lambda module: True)
    monkeypatch.setattr(device_functions, "_why_not_numba_cuda", lambda: "")
    monkeypatch.setattr(device_functions, "make_device_function", make)
    return asked


def test_arguments_come_from_the_cpu(pretended):
    """The same scalars and slots, in host arrays."""
    kit = fa.compiled_update("adam", dtype=F4, momentum=0.5, learning_rate=lambda t: 1 / (t + 1), target="cuda")
    usual = fa.compiled_update("adam", dtype=F4, momentum=0.5, learning_rate=lambda t: 1 / (t + 1))
    assert kit.scalars(3) == usual.scalars(3)
    slots = kit.slots(np.ones(4, F4))
    assert [slot.tolist() for slot in slots] == [[0.0] * 4] * 3
    with pytest.raises(TypeError, match="p must be an ndarray of float32"):
        kit.slots(np.ones(4))


def test_which_compiler_is_meant(pretended, monkeypatch):
    for target in ("cuda", "cuda-mlir"):
        fa.compiled_update(target=target)
    monkeypatch.setattr(device_functions, "is_installed", lambda module: module != "numba_cuda")
    fa.compiled_update(target="cuda")
    assert pretended == ["cuda", "cuda-mlir", "cuda-mlir"]


def test_a_compiler_that_compiles_nothing_is_passed_over(pretended, monkeypatch):
    """As numba-cuda beside NumPy 2.5; where there is no other, that is told instead of what a kernel would run into."""
    monkeypatch.setattr(device_functions, "_why_not_numba_cuda", lambda: "AttributeError: no row_stack")
    fa.compiled_update(target="cuda")
    assert pretended == ["cuda-mlir"]
    monkeypatch.setattr(device_functions, "is_installed", lambda module: module == "numba_cuda")
    reason = rf"numba-cuda fails beside NumPy {np.__version__} \(AttributeError: no row_stack\)\."
    with pytest.raises(RuntimeError, match=reason + " It needs another NumPy, or numba-cuda-mlir: pip install"):
        fa.compiled_update(target="cuda")


def test_why_numba_cuda_compiles_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba.cuda.np.npyimpl", None)
    assert device_functions._why_not_numba_cuda().startswith("ModuleNotFoundError: ")
    monkeypatch.setitem(sys.modules, "numba.cuda.np.npyimpl", SimpleNamespace())
    assert device_functions._why_not_numba_cuda() == ""


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(device_functions, "is_installed", lambda module: False)
    message = (
        'an update to call in CUDA kernels of your own needs numba-cuda: pip install "numba-cuda[cu13]" "numpy<2.5", '
        'or its successor numba-cuda-mlir: pip install "numba-cuda-mlir[cu13]"'
    )
    with pytest.raises(RuntimeError, match=f"^{re.escape(message)}$"):
        fa.compiled_update(target="cuda")


@pytest.mark.parametrize("kind", COMPILERS, ids=lambda kind: kind.target)
def test_one_that_is_asked_for_and_missing_is_named(kind, monkeypatch):
    monkeypatch.setitem(sys.modules, kind.package, None)
    device_functions.make_device_function.cache_clear()
    name = extras._BROUGHT_BY_NONE[kind.package][0]
    with pytest.raises(RuntimeError, match=f"needs {name}: {re.escape(kind.installed_by)}$"):
        device_functions.make_device_function(None, "plain", True, np.dtype(F4), kind.target)


def test_the_simulator_runs_no_code_of_a_gpu(pretended, monkeypatch):
    monkeypatch.setattr(device_functions.numba, "config", SimpleNamespace(ENABLE_CUDASIM=1))
    with pytest.raises(RuntimeError, match="simulator does not run: unset NUMBA_ENABLE_CUDASIM"):
        fa.compiled_update(target="cuda")
    assert numba.config.ENABLE_CUDASIM


def test_what_a_thread_alone_cannot_do_is_refused(pretended, registered):
    for accumulator, ndim in (("row", 2), ("tensor", 1)):
        with pytest.raises(ValueError, match=f"target must be 'cpu' with accumulator='{accumulator}': a thread"):
            fa.compiled_update(accumulator=accumulator, ndim=ndim, target="cuda")
    fa.compiled_update(accumulator="row", target="cuda")  # of one dimension, so that each element is a row
    fa.register(changed(stored={"squares": BFLOAT16}))
    with pytest.raises(ValueError, match="target must be 'cpu' for FAMILY_TEST, which keeps squares in another dtype"):
        fa.compiled_update(registered, dtype=F4, target="cuda")
    assert pretended == ["cuda"]


@pytest.mark.parametrize("target", ["gpu", None, 3, "CUDA"])
def test_other_targets_are_refused(target):
    with pytest.raises(ValueError, match=r"^target must be one of 'cpu', 'cuda', 'cuda-mlir', not "):
        fa.compiled_update(target=target)


def test_norm_clipping_is_refused_as_on_the_cpu():
    with pytest.raises(ValueError, match="scale the gradient in your loop"):
        fa.compiled_update(max_gradient_norm=1.0, target="cuda")


def test_the_formula_of_a_rule_with_what_gpus_lack_is_refused(registered, monkeypatch):
    fa.register(changed(scale=lambda own, s: log(own[0])))
    monkeypatch.setattr(device_functions, "_COMPILERS", {NumbaCuda.target: lambda: None})
    monkeypatch.setattr(device_functions, "target_installed", lambda target: target)
    with pytest.raises(RuntimeError, match=r"family_test_.* would not have the bits of the CPU's: it calls llvm\.log"):
        fa.compiled_update(registered, target="cuda")
