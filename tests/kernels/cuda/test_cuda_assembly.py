"""A step as assembly for another's kernel: the bits of the formula, whatever kernel it is put into."""

import numpy as np
import pytest
from cuda_updates import CASES, VARIANTS, algo_of, assert_steps_agree
from family import METHODS
from ptx import launch
from test_cuda_lint import assembled as assembled_by
from test_cuda_lint import ptxas

import fastadagrad as fa
from fastadagrad.engine.registry import rule_named, rule_names
from fastadagrad.kernels.cuda import assembly as assemblies
from fastadagrad.kernels.cuda.assembly import make_assembly
from fastadagrad.kernels.cuda.compiling import Kernel
from fastadagrad.kernels.rules import adagrad, trait

__all__ = ["ptxas"]
F4, F8 = map(np.dtype, (np.float32, np.float64))


def kernel_around(assembly, dtype, times=1):
    """PTX of a kernel whose threads each read what the step takes, and write what it gives, one array row a thread."""
    kind, size = f"f{8 * dtype.itemsize}", dtype.itemsize
    text = assembly.with_operands(lambda n: f"%taken{n}", lambda n: f"%given{n}")
    loads = [f"ld.global.{kind} %taken{n}, [%rd5+{n * size}];" for n in range(len(assembly.taken))]
    stores = [f"st.global.{kind} [%rd6+{n * size}], %given{n};" for n in range(assembly.given)]
    return "\n".join(
        [
            ".version 8.0\n.target sm_50\n.address_size 64",
            ".visible .entry step(.param .u64 step_param_0, .param .u64 step_param_1)\n{",
            f".reg .b32 %r<2>; .reg .b64 %rd<7>; .reg .{kind} %taken<32>; .reg .{kind} %given<8>;",
            "ld.param.u64 %rd1, [step_param_0]; ld.param.u64 %rd2, [step_param_1]; mov.u32 %r1, %tid.x;",
            f"mul.wide.s32 %rd3, %r1, {len(assembly.taken) * size}; mul.wide.s32 %rd4, %r1, {assembly.given * size};",
            "add.s64 %rd5, %rd1, %rd3; add.s64 %rd6, %rd2, %rd4;",
            *[*loads, text, *stores] * times,
            "ret;\n}",
        ]
    )


def stepping(assembly, kit, dtype):
    """``step(t, p, g, slots)`` by a kernel of the assembly."""
    kernel = kernel_around(assembly, dtype)

    def step(t, p, g, slots):
        numbers = np.stack(np.broadcast_arrays(p, g, *slots, *kit.scalars(t)))
        taken = np.ascontiguousarray(numbers[[*assembly.taken]].T)
        given = np.zeros((len(p), assembly.given), dtype)
        launch(kernel, 1, len(p), (taken.ctypes.data, given.ctypes.data), [taken, given])
        for array, new in zip((p, *slots), given.T, strict=True):
            array[...] = new

    return step


@pytest.mark.parametrize(("name", "variant", "dtype"), CASES)
def test_has_what_the_formula_gives(name, variant, dtype):
    dtype = np.dtype(dtype)
    kit = fa.compiled_update(algo_of(name), dtype=dtype, **VARIANTS[name, variant])
    settings = kit._settings
    assembly = make_assembly(settings.form, settings.motion, settings.lean, dtype)
    assert dtype == F8 or "f64" not in assembly.text
    assert "fma" not in assembly.text
    assert_steps_agree(name, variant, dtype, stepping(assembly, kit, dtype))


def test_each_method_is_among_them():
    measured = {name for name in rule_names() if trait(rule_named(name), "measured")}
    assert {*map(algo_of, METHODS), "adagrad"} | measured == {*rule_names()}


def test_it_is_a_block_that_can_stand_twice_in_any_kernel(ptxas, tmp_path):
    """With labels and registers of its own."""
    assembly = make_assembly(adagrad, "plain", False, F4)
    assert " bra " in assembly.text
    for cc in ((7, 5), (9, 0), (12, 0)):
        assembled_by(ptxas, Kernel("step", kernel_around(assembly, F4, times=2)), cc, tmp_path)


def test_it_takes_only_what_the_step_depends_on():
    sgd = fa.compiled_update("sgd", dtype=F4)._settings
    assert make_assembly(sgd.form, "plain", True, F4).taken == (0, 1, 4)  # p, g and the rate, behind zero and one
    assert make_assembly(sgd.form, "momentum", True, F4).given == 2


def test_what_needs_memory_is_refused(monkeypatch):
    kernel = ".visible .entry x()\n{\n.local .align 8 .b8 __local_depot0[8];\nret;\n}"
    monkeypatch.setattr(assemblies, "compile_kernel", lambda name, *rest: Kernel(name, kernel))
    with pytest.raises(RuntimeError, match=r"the step adagrad_.* needs memory beside registers"):
        make_assembly.__wrapped__(adagrad, "plain", True, F4)
