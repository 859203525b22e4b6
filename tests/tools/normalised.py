"""Text of generated code from which names are taken out: what is left changes if and only if the code does.

Modules, functions and variables may be called what they like. Of what a function calls, the text has the digest in the
place of the name where that is in the same module, and the name where it is another library's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import partial

_SYMBOL = re.compile(r'@("[^"]*"|[-\w.$]+)')
_LOCAL = re.compile(r'%("[^"]*"|[-\w.$]+)')
_LABEL = re.compile(r'^("[^"]*"|[-\w.$]+):', re.MULTILINE)
_DEFINED = re.compile(r'^define [^@\n]*@("[^"]*"|[-\w.$]+)\(.*?^}$', re.MULTILINE | re.DOTALL)
_GLOBAL = re.compile(r'^@("[^"]*"|[-\w.$]+) = (.*)$', re.MULTILINE)
# Metadata tell the optimiser, which has run, what it may assume; attributes are listed by number behind the code.
_REFERENCES = re.compile(
    r",? !(?:[\w.]+ )?!\d+"
    r"| #\d+"
    r'|,? section "[^"]*"'
    r"|,? comdat(?:\(\S+\))?"
)
_COMMENT = re.compile(r"\s*;[^\n]*")
_MANGLED = re.compile(r"^_Z|^numba\.|^\.|^__gufunc__|<locals>")


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _numbered(known: dict[str, int], mark: str, found: re.Match[str]) -> str:
    return f"{mark}{known.setdefault(found[1].strip(chr(34)), len(known))}"


class LLVM:
    """A module of LLVM's intermediate language."""

    def __init__(self, text: str) -> None:
        text = _REFERENCES.sub("", text)
        self._bodies = {found[1].strip('"'): found[0] for found in _DEFINED.finditer(text)}
        self._globals = {found[1].strip('"'): found[2] for found in _GLOBAL.finditer(text)}
        self._known: dict[str, str] = {}

    def functions(self) -> list[str]:
        """Texts of all functions but those by which Python and C call them, in an order that no name decides."""
        wrapped = ("cpython.", "cfunc.")
        names = [name for name in self._bodies if not name.startswith(wrapped) and "cpython" not in name[:12]]
        return sorted(self._function(name, ()) for name in names)

    def _function(self, name: str, within: tuple[str, ...]) -> str:
        if name not in self._known:
            inner = (*within, name)
            text = _SYMBOL.sub(lambda found: self._symbol(found[1].strip('"'), inner), self._bodies[name])
            text = _COMMENT.sub("", text)
            local: dict[str, int] = {}
            text = _LABEL.sub(lambda found: f"%{found[1]}:", text)
            self._known[name] = _LOCAL.sub(partial(_numbered, local, "%"), text)
        return self._known[name]

    def _symbol(self, name: str, within: tuple[str, ...]) -> str:
        if name == within[-1]:
            return "@itself"
        if name in within:
            return "@caller"
        if name in self._bodies:
            return f"@function_{digest_of(self._function(name, within))[:16]}"
        if name in self._globals:
            return self._constant(name)
        return "@external" if _MANGLED.search(name) else f"@{name}"

    def _constant(self, name: str) -> str:
        value = self._globals[name]
        if ' c"' in value or "NumbaEnv" in name or name.startswith(".const"):
            return "@text"  # messages, names, and pickled exceptions with them
        return f"@constant_{digest_of(_SYMBOL.sub('@name', value))[:16]}"


def llvm(text: str) -> str:
    return "\n\n".join(LLVM(text).functions()) + "\n"


_PTX_NAME = re.compile(r"\b(_Z\w+|\w*_param_\d+)\b")
_PTX_LINE: Callable[[str], bool] = re.compile(r"^\s*(//|\.file|\.loc|\.section|\.common \.global|$)").match  # type: ignore[assignment]
_PTX_ENTRY = re.compile(r"\.(?:entry|func)\s+(?:\([^)]*\)\s*)?(\w+)")


def ptx(text: str) -> str:
    """Code for CUDA, by the numbers of names as they come; without comments and the variables of Numba's own."""
    text = "\n".join(line for line in text.splitlines() if not _PTX_LINE(line)) + "\n"
    for i, name in enumerate(dict.fromkeys(_PTX_ENTRY.findall(text))):
        text = re.sub(rf"\b{re.escape(name)}", f"kernel{i}", text)
    known: dict[str, int] = {}
    return _PTX_NAME.sub(partial(_numbered, known, "name"), text)
