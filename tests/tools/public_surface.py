"""Every public name, what it is called with, and the options of every command, as text.

    python tests/tools/public_surface.py

writes tests/recorded/public_surface.txt, with which `test_public_surface` compares what there is. Write it anew only
where the change of what users see is meant.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import pkgutil
import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from functools import cached_property
from importlib import import_module
from types import ModuleType
from typing import Any, ForwardRef

from places import RECORDED

import fastadagrad

FILE = RECORDED / "public_surface.txt"
MODULES = ("fastadagrad", "fastadagrad.adaptive", "fastadagrad.base", "fastadagrad.dataset", "fastadagrad.first_order")
MODULES += ("fastadagrad.compare", "fastadagrad.scipy", "fastadagrad.sklearn")
RULES = "fastadagrad.kernels.rules"


def signature_of(value: Any) -> str:
    """With annotations as they are written, which all versions of Python show alike."""
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return "(...)"
    parameters = [p.replace(annotation=_written(p.annotation)) for p in found.parameters.values()]
    text = str(found.replace(parameters=parameters, return_annotation=_written(found.return_annotation)))
    return re.sub(r" at 0x[0-9a-f]+", "", text)


class _Text(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _written(annotation: Any) -> Any:
    if isinstance(annotation, ForwardRef):
        annotation = annotation.__forward_arg__
    # Without the module in which a type stands, as that is nobody's affair.
    return _Text(re.sub(r"\b[a-z_]+\.(?=[A-Z])", "", annotation)) if isinstance(annotation, str) else annotation


def is_new(owner: type, name: str) -> bool:
    """Whether it is the library's, and not told of where a public class is that this one is made of."""
    home = next(base for base in owner.__mro__ if name in vars(base))
    public = (base for base in owner.__mro__[1:] if base.__name__ in fastadagrad.__all__)
    told = [base for base in public if getattr(fastadagrad, base.__name__) is base]
    return home.__module__.startswith("fastadagrad") and not any(
        name in dir(base) for base in told if home is not owner
    )


def lines_of_class(where: str, owner: type) -> Iterator[str]:
    known = {name for base in owner.__mro__ for name in vars(base) if not name.startswith("_")}
    for name in sorted(name for name in known if is_new(owner, name)):
        value = inspect.getattr_static(owner, name)
        if isinstance(value, property | cached_property):
            settable = isinstance(value, property) and value.fset is not None
            yield f"{where}.{name}: property{', settable' if settable else ''}"
        elif isinstance(value, classmethod | staticmethod):
            yield f"{where}.{name}{signature_of(getattr(owner, name))} of the class"
        elif inspect.isfunction(value):
            yield f"{where}.{name}{signature_of(value)}"


def lines_of(where: str, value: Any) -> Iterator[str]:
    if isinstance(value, ModuleType):
        yield f"{where}: module"
    elif isinstance(value, type):
        yield f"{where}{signature_of(value)}: class"
        yield from lines_of_class(where, value)
    elif callable(value):
        yield f"{where}{signature_of(value)}"
    else:
        yield f"{where} = {value!r}"


def lines_of_modules() -> Iterator[str]:
    for path in MODULES:
        module = import_module(path)
        for name in names_of(module):
            yield from lines_of(f"{path}.{name}", getattr(module, name))
    yield f"fastadagrad.__version__: {type(import_module('fastadagrad').__version__).__name__}"
    yield from lines_of("fastadagrad.linear.LinearModel", import_module("fastadagrad.linear").LinearModel)
    yield from lines_of("fastadagrad.methods.method_named", import_module("fastadagrad.methods").method_named)
    yield from lines_of("fastadagrad.sources.load", import_module("fastadagrad.sources").load)


def names_of(module: ModuleType) -> list[str]:
    """Of a module without `__all__`, what stands in it and what it takes from others of ours."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    named = ((name, value) for name, value in vars(module).items() if not name.startswith("_"))
    return [name for name, value in named if getattr(value, "__module__", "").startswith("fastadagrad")]


def lines_of_rules() -> Iterator[str]:
    module = import_module(RULES)
    for name in (
        "COMMON",
        "MOST_SLOTS",
        "PARAMETER",
        "TRAITS",
        "form_of",
        "places",
        "share_kept",
        "share_new",
        "trait",
    ):
        yield from lines_of(f"{RULES}.{name}", getattr(module, name))
    for found in pkgutil.iter_modules(module.__path__):
        if not found.name.startswith("_"):
            rule = import_module(f"{RULES}.{found.name}")
            own = {field.name: field.default for field in fields(rule.Hyperparameters)}
            yield f"{RULES}.{found.name}: {rule.name}, {own}"


def _help(*command: str) -> str:
    from fastadagrad.cli import main

    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        main([*command, "--help"])
    return out.getvalue()


def lines_of_commands() -> Iterator[str]:
    for command in ["", *re.findall(r"^    (\w+) ", _help(), re.MULTILINE)]:
        text = _help(*command.split())
        usage = " ".join(text.partition("\n\n")[0].split())
        plain = re.findall(r"(?<![-\w|\[{])[A-Z][A-Z_]+(?![\w|])", re.sub(r"\[[^]]*\]", "", usage))
        listed = " ".join(re.findall(r"^  (-.*?)(?:  |$)", text, re.MULTILINE))
        for option in sorted({*re.findall(r"(?<![-\w])--?[a-z][-a-z0-9]*", listed)}):
            yield f"{' '.join(['fastadagrad', command, option]).replace('  ', ' ')}"
        for argument in plain:
            yield f"fastadagrad {command} {argument}"


def surface() -> str:
    return "".join(f"{line}\n" for part in (lines_of_modules, lines_of_rules, lines_of_commands) for line in part())


if __name__ == "__main__":
    FILE.write_text(surface())
    print(f"{len(FILE.read_text().splitlines())} lines in {FILE}", file=sys.stderr)
