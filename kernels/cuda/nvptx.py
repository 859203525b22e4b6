"""LLVM's back end for NVIDIA's GPUs, which llvmlite has: modules in LLVM's language are linked, optimised and made PTX.

LLVM computes what it is told to: it contracts no product and sum that are not marked for it, and divides and takes
roots as IEEE 754 says. What GPUs have as approximations only, or not at all, is refused before it comes to LLVM's
selection of instructions, which would end the process.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from llvmlite import __version__
from llvmlite import binding as llvm

Capability = tuple[int, int]

TRIPLE = "nvptx64-nvidia-cuda"
OLDEST_LLVM = 16  # it knows FEATURES and CAPABILITIES
FEATURES = "+ptx80"  # the version of PTX: drivers since 525 know it
# Compute capabilities for which code is made. A GPU runs the code for its own or for the last one before: drivers
# compile PTX, and what came later has no instruction that the kernels would use.
CAPABILITIES = (5, 0), (6, 0), (7, 0), (7, 5), (8, 0), (9, 0)

# Functions of C's library that Numba calls, by instructions that round as they do.
_LIBRARY = "\n".join(
    f"""
    declare {kind} @llvm.{name}.{suffix}({kind})
    define {kind} @{name}{end}({kind} %x) {{
        %result = call {kind} @llvm.{name}.{suffix}({kind} %x)
        ret {kind} %result
    }}"""
    for kind, suffix, end in (("float", "f32", "f"), ("double", "f64", ""))
    for name in ("sqrt", "floor", "ceil")
)

# What LLVM has for floats and GPUs do exactly; and what is refused: other functions, and the remainder of floats.
_EXACT = {"sqrt", "fabs", "copysign", "floor", "ceil", "trunc", "rint", "nearbyint", "roundeven", "minnum", "maxnum"}
_EXACT |= {"minimum", "maximum", "is.fpclass"}
_OF_FLOATS = re.compile(r"llvm\.([a-z0-9.]+?)\.(?:v\d+)?f(?:32|64)\b.*")
_REMAINDER = re.compile(r"= frem ")


def code_capability(capability: Capability) -> Capability:
    """The compute capability that the code for a GPU is made for."""
    known = [each for each in CAPABILITIES if each <= capability]
    if not known:
        major, minor = CAPABILITIES[0]
        raise RuntimeError(
            f"device arrays need a GPU of compute capability {major}.{minor} or newer, and this one has "
            f"{capability[0]}.{capability[1]}: use host arrays"
        )
    return known[-1]


@cache
def require_llvm() -> None:
    """Refuse an LLVM that does not know the GPUs, or the version of PTX, that code is made for."""
    found = llvm.llvm_version_info[0]
    if found < OLDEST_LLVM:
        raise RuntimeError(
            f"device arrays need LLVM {OLDEST_LLVM} or newer, and llvmlite {__version__} has {found}: pip install "
            "'numba>=0.62'"
        )


@cache
def _machine(capability: Capability) -> Any:
    require_llvm()
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    major, minor = capability
    target = llvm.Target.from_triple(TRIPLE)
    return target.create_target_machine(cpu=f"sm_{major}{minor}", features=FEATURES, opt=3)


@cache
def data_layout() -> str:
    """How LLVM's types lie in the memory of a GPU."""
    return str(_machine(CAPABILITIES[0]).target_data)


def ptx_of(name: str, modules: Sequence[str], capability: Capability) -> str:
    """PTX of the kernel of this name, given modules that have it and all that it calls.

    Raises
    ------
    RuntimeError
        If it calls what GPUs do not have, or have as approximations only.
    """
    machine, whole = _machine(capability), llvm.parse_assembly("")
    whole.triple, whole.data_layout = TRIPLE, data_layout()
    for text in (*modules, _LIBRARY):
        part = llvm.parse_assembly(text)
        part.triple, part.data_layout = TRIPLE, data_layout()
        whole.link_in(part)
    _internalise(name, whole)
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    first, last = llvm.create_new_module_pass_manager(), llvm.create_new_module_pass_manager()
    first.add_always_inliner_pass()
    last.add_strip_dead_prototype_pass()
    for passes in (first, builder.getModulePassManager(), last):
        passes.run(whole, builder)
    missing = _missing(whole)
    if missing:
        raise RuntimeError(
            f"the CUDA kernel {name} would not have the bits of the CPU's: it calls {', '.join(missing)}, which GPUs "
            "have as approximations only, or not at all; write the formula without"
        )
    ptx: str = machine.emit_assembly(whole)
    return ptx


def _internalise(name: str, module: Any) -> None:
    """Leave the kernel as the only thing that can be seen from outside, and all other functions for inlining.

    That must be done before anything else: LLVM would move calls of functions that shuffle, which all threads of a warp
    must come to, as if they did not.
    """
    for function in module.functions:
        if not function.is_declaration and function.name != name:
            function.linkage = "internal"
            function.add_function_attribute("alwaysinline")
    for variable in module.global_variables:
        if not variable.is_declaration:
            variable.linkage = "internal"


def _missing(module: Any) -> list[str]:
    """What an optimised module calls and GPUs do not have, or not exactly."""
    declared = [function.name for function in module.functions if function.is_declaration]
    inexact = [name for name in declared if (found := _OF_FLOATS.fullmatch(name)) and found[1] not in _EXACT]
    unknown = [name for name in declared if not name.startswith("llvm.")]
    remainder = ["the remainder of floats"] if _REMAINDER.search(str(module)) else []
    return sorted({*inexact, *unknown, *remainder})
