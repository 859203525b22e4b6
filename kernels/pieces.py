"""Pieces of kernels, which are made machine code of in the kernels that they are linked into only.

Numba makes machine code, too, of each function that compiled ones call, and nobody runs that of a piece.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

try:
    from numba.core.codegen import JITCodeLibrary
    from numba.core.compiler import Compiler

    _MEMBERS = "_finalize_final_module", "_ensure_finalized", "get_pointer_to_function", "codegen"
    _SPARING = all(hasattr(JITCodeLibrary, name) for name in _MEMBERS) and hasattr(Compiler, "compile_extra")
except ImportError:  # these names are private to Numba and may move: pieces then have machine code of their own
    _SPARING = False


if _SPARING:

    class _NoMachineCode:
        """In the place of the generator of machine code that a library of code otherwise has."""

        def set_env(self, name: str, environment: Any) -> None:
            """Do nothing, as only machine code refers to the environment of a function."""

    class _Library(JITCodeLibrary):
        """The optimised code of a piece, together with that of the pieces that it calls."""

        codegen = _NoMachineCode()

        def _finalize_final_module(self) -> None:
            self._finalized = True

        def get_pointer_to_function(self, name: str) -> int:
            """Give no address, as there is no machine code."""
            self._ensure_finalized()
            return 0

    class PieceCompiler(Compiler):
        """Numba's compiler, up to machine code."""

        def compile_extra(self, func: FunctionType) -> Any:
            self.state.library = _Library(self.state.targetctx.codegen(), func.__qualname__)
            return super().compile_extra(func)

    OPTIONS: dict[str, Any] = {"pipeline_class": PieceCompiler}
else:
    OPTIONS = {}
