"""Numba's front end for a GPU: Python functions typed and lowered to LLVM's language, and none of it compiled.

What Numba lowers for the CPU does not depend on the CPU, but for calls of its C library; :mod:`.nvptx` brings those.
So the target here is that of the CPU with a library of code that keeps modules as they were lowered: not optimised for
the host, and without the counting of references, which kernels have no use for.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import compiler, cpu, typing
from numba.core.codegen import Codegen, CodeLibrary
from numba.core.descriptors import TargetDescriptor
from numba.core.dispatcher import Dispatcher
from numba.core.registry import cpu_target
from numba.core.runtime import rtsys
from numba.core.target_extension import (
    GPU,
    JitDecorator,
    dispatcher_registry,
    jit_registry,
    target_override,
    target_registry,
)

from .nvptx import TRIPLE, data_layout

NAME = "fastadagrad_ptx"


class PTX(GPU):
    """The name of the target for Numba, which tells targets apart by their classes."""


class _Library(CodeLibrary):
    """The modules of one function, as they were lowered, and the objects of this kind for those that it calls."""

    def __init__(self, codegen: Any, name: str) -> None:
        super().__init__(codegen, name)
        self.modules: list[ir.Module] = []
        self.linked: list[_Library] = []

    def add_ir_module(self, module: ir.Module) -> None:
        self._raise_if_finalized()
        self.modules.append(module)

    def add_linking_library(self, library: Any) -> None:
        library._ensure_finalized()
        self.linked.append(library)

    def finalize(self) -> None:
        self._finalized = True

    def get_function(self, name: str) -> Any:
        return next(f for module in self.modules for f in module.functions if f.name == name)

    def get_llvm_str(self) -> str:
        return "\n".join(map(str, self.modules))

    def get_asm_str(self) -> str:
        """Give no code of a machine: there is none of a part of a kernel."""
        return ""


class _Codegen(Codegen):
    _library_class = _Library

    @cached_property
    def _target_data(self) -> Any:
        return binding.create_target_data(data_layout())

    def _create_empty_module(self, name: str) -> ir.Module:
        module = ir.Module(name)
        module.triple, module.data_layout = TRIPLE, data_layout()
        return module

    def _add_module(self, module: Any) -> None:
        """Do nothing, as nothing is run."""

    def magic_tuple(self) -> tuple[str, ...]:
        return (TRIPLE,)


class _Context(cpu.CPUContext):
    def init(self) -> None:
        self.is32bit = False
        self._internal_codegen = _Codegen()

    def load_additional_registries(self) -> None:
        rtsys.initialize(cpu_target.target_context)  # by whoever comes first, and it compiles for the host
        super().load_additional_registries()

    def post_lowering(self, module: ir.Module, library: Any) -> None:
        """Leave the module as it is."""

    def get_executable(self, library: Any, described: Any, environment: Any) -> object:
        """Give what Numba knows the function by: nothing can be called from here."""
        return object()


class _Typing(typing.Context):
    """Numba's typing, with functions that somebody else has compiled for the CPU replaced by their like for a GPU."""

    def resolve_value_type(self, value: Any) -> Any:
        if isinstance(value, Dispatcher) and not isinstance(value, _PTXDispatcher):
            value = _for_gpu(value)
        return super().resolve_value_type(value)


class _Target(TargetDescriptor):
    options = cpu.CPUTargetOptions

    @cached_property
    def typing_context(self) -> Any:
        return _Typing()

    @cached_property
    def target_context(self) -> Any:
        return _Context(self.typing_context, NAME)


class _PTXDispatcher(Dispatcher):
    """A dispatcher of a piece of a kernel, which Numba lowers where it is called."""

    targetdescr = _Target(NAME)

    def add_overload(self, result: Any) -> None:
        """Note what has been compiled, without a function that Python could call."""
        self.overloads[tuple(result.signature.args)] = result


class _PieceOfKernel(JitDecorator):
    """What Numba decorates functions with that it needs compiled for this target, such as its own."""

    def __init__(self, pipeline_class: Any = None, **options: Any) -> None:
        self._options = options  # `pipeline_class` names a compiler for the host, and is not used for a GPU

    def __call__(self, function: Callable[..., Any]) -> Any:
        return _PTXDispatcher(function, targetoptions={**self._options, "nopython": True})


_for_gpus: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def _for_gpu(compiled: Any) -> Any:
    """The dispatcher, for kernels, of a function that a formula calls and its author has compiled with `@njit`.

    A quotient by 0 is infinite or NaN in it, as everywhere in kernels: a GPU raises no ZeroDivisionError.
    """
    if compiled.targetoptions.get("fastmath"):
        function = compiled.py_func
        raise RuntimeError(
            f"a CUDA kernel would not have the bits of the formula: it calls {function.__module__}."
            f"{function.__qualname__}, which is compiled with fastmath: compile it without"
        )
    if compiled not in _for_gpus:
        _for_gpus[compiled] = _PieceOfKernel(error_model="numpy")(compiled.py_func)
    return _for_gpus[compiled]


target_registry[NAME] = PTX
dispatcher_registry[PTX] = _PTXDispatcher
jit_registry[PTX] = _PieceOfKernel


def _needed(part: _Library, seen: dict[int, _Library]) -> dict[int, _Library]:
    """A function's modules and those of all that it calls, each once."""
    if id(part) not in seen:
        seen[id(part)] = part
        for other in part.linked:
            _needed(other, seen)
    return seen


@cache
def _flags() -> Any:
    flags = compiler.Flags()
    flags.nrt, flags.error_model = False, "numpy"
    flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
    return flags


def lowered(name: str, function: Callable[..., None], arguments: tuple[Any, ...]) -> list[str]:
    """Modules in LLVM's language of a kernel and of all that it calls, given the Numba types of its arguments."""
    target = _PTXDispatcher.targetdescr
    with target_override(NAME):
        target.target_context.refresh()
        result = compiler.compile_extra(
            target.typing_context, target.target_context, function, arguments, types.void, _flags(), {}
        )
        kernel = _kernel(name, target.target_context, result.fndesc, arguments)
    parts = _needed(result.library, {}).values()
    return [*(str(module) for part in parts for module in part.modules), str(kernel)]


def _kernel(name: str, context: Any, described: Any, arguments: tuple[Any, ...]) -> ir.Module:
    """The module of the kernel itself, which calls the function with what it is launched with."""
    module, packer = context.create_module(name), context.get_arg_packer(arguments)
    kind = context.call_conv.get_function_type(described.restype, described.argtypes)
    called = ir.Function(module, kind, described.llvm_func_name)
    kernel = ir.Function(module, ir.FunctionType(ir.VoidType(), packer.argument_types), name)
    kernel.calling_convention = "ptx_kernel"
    builder = ir.IRBuilder(kernel.append_basic_block())
    given = packer.from_arguments(builder, kernel.args)
    context.call_conv.call_function(builder, called, described.restype, arguments, given)
    builder.ret_void()
    return module
