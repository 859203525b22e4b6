"""Compiling the pieces that kernels are made of, up to the optimised code that is linked into a kernel.

Numba also makes machine code of each function that a compiled one calls. That of a piece would never run, as Python
calls kernels only, so it is not made here.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

try:
    from numba.core.codegen import JITCodeLibrary
    from numba.core.compiler import Compiler

    _MEMBERS = "_finalize_final_module", "_ensure_finalized", "get_pointer_to_function", "codegen"
    _SPARING = all(hasattr(JITCodeLibrary, name) for name in _MEMBERS) and hasattr(Compiler, "compile_extra")
except ImportError:  # these names are private to Numba and may move: pieces are then compiled to machine code, too
    _SPARING = False


if _SPARING:

    class _NoMachineCode:
        """What a library of code has instead of Numba's generator of machine code, if it has none of its own."""

        def set_env(self, name: str, environment: Any) -> None:
            """Do nothing: Numba would write the address of the environment into the function's machine code."""

    class _Library(JITCodeLibrary):
        """The optimised code of a piece and of the pieces that it calls, which Numba links into whatever calls it."""

        codegen = _NoMachineCode()

        def _finalize_final_module(self) -> None:
            """Stop here, where Numba would go on to machine code."""
            self._finalized = True

        def get_pointer_to_function(self, name: str) -> int:
            """Give 0, by which Numba says that a function has no machine code."""
            self._ensure_finalized()
            return 0

    class _PieceCompiler(Compiler):
        """Numba's compiler, which puts the code of a piece into a library without machine code."""

        def compile_extra(self, func: FunctionType) -> Any:
            self.state.library = _Library(self.state.targetctx.codegen(), func.__qualname__)
            return super().compile_extra(func)

    OPTIONS: dict[str, Any] = {"pipeline_class": _PieceCompiler}
else:
    OPTIONS = {}
