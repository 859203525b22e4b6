"""Every public class, function and method says what it takes, gives and refuses, and shows it in an example.

The examples are run by pytest --doctest-modules.
"""

import dataclasses
import functools
import inspect
import re
from importlib import import_module
from types import FunctionType, ModuleType

import pytest
from public_surface import MODULES, is_new, names_of

from fastadagrad.optimizer.documents import entries_of, sections_of

MORE = ("fastadagrad.methods.method_named", "fastadagrad.sources.load")
# What users are given, and do not make.
GIVEN = (
    "history.Best",
    "history.Epoch",
    "history.History",
    "history.Validation",
    "hyper_view.HyperView",
    "by_gradients.Update",
)


def members(where, value):
    """A public thing, and what is public in it, each with what it is: a module, class, method, function or property."""
    if isinstance(value, ModuleType):
        yield where, "module", value
    elif isinstance(value, type):
        yield where, "class", value
        known = {name for base in value.__mro__ for name in vars(base) if not name.startswith("_")}
        for name in sorted(name for name in known if is_new(value, name)):
            static = inspect.getattr_static(value, name)
            if isinstance(static, property | functools.cached_property):
                yield f"{where}.{name}", "property", static
            elif isinstance(static, FunctionType | classmethod | staticmethod):
                yield (
                    f"{where}.{name}",
                    "method" if isinstance(static, FunctionType) else "function",
                    getattr(value, name),
                )
    elif isinstance(value, FunctionType):
        yield where, "function", value


def walk():
    for path in MODULES:
        module = import_module(path)
        yield path, "module", module
        for name in names_of(module):
            yield from members(f"{path}.{name}", getattr(module, name))
    for path in (*MORE, *(f"fastadagrad.optimizer.{path}" for path in GIVEN)):
        module, _, name = path.rpartition(".")
        yield from members(path, getattr(import_module(module), name))


# Each once, under the first of its names.
PUBLIC = {id(value): (where, kind, value) for where, kind, value in reversed(list(walk()))}.values()


def parameters_of(kind, value):
    """Names of what it is called with."""
    if value.__name__ in {path.rpartition(".")[2] for path in GIVEN} and not fields_of(value):
        return []
    parameters = list(inspect.signature(value).parameters.values())
    # The last of some constructors takes what is misspelt, to say what is meant.
    return [p.name for p in parameters[kind == "method" :] if not p.name.startswith("_") and p.annotation != "Never"]


def fields_of(value):
    """Names of a dataclass's or a named tuple's fields."""
    found = dataclasses.fields(value) if dataclasses.is_dataclass(value) else ()
    return [field.name for field in found] or getattr(value, "_fields", ())


def test_the_walk_finds_what_is_public():
    found = {where for where, _, _ in PUBLIC}
    for name in ("ADAGRAD", "Optimizer.step", "Rows", "Dataset.batches", "CompiledUpdate.slots", "build", "adaptive"):
        assert f"fastadagrad.{name}" in found
    assert {"fastadagrad.LinearModel.load", "fastadagrad.compare.compare", "fastadagrad.sources.load"} <= found


@pytest.mark.parametrize(
    ("kind", "value"), [pytest.param(kind, value, id=where) for where, kind, value in reversed(PUBLIC)]
)
def test_docstring(kind, value):
    told = sections_of(value.__doc__)
    sentence = told[""].partition("\n\n")[0]
    assert re.match(r"[A-Z0-9`'].*[.:]$", sentence, re.DOTALL), f"begins with no sentence: {sentence!r}"
    if kind in ("module", "property"):
        return
    parameters = parameters_of(kind, value)
    heading = "Attributes" if fields_of(value) and "Parameters" not in told else "Parameters"
    entries = entries_of(told.get(heading, ""))
    named = {name for names in entries for name in names}
    assert {*parameters} <= named, f"{heading} lacks {', '.join(sorted({*parameters} - named))}"
    for names, entry in entries.items():
        title, _, text = entry.partition("\n")
        assert " : " in title or title.startswith("**"), f"{heading} has no type of {', '.join(names)}"
        assert heading == "Attributes" or text.strip(), f"{heading} says nothing of {', '.join(names)}"
    if kind != "class":
        assert named == {*parameters}, f"Parameters has {', '.join(sorted(named - {*parameters}))}"
        gives = inspect.signature(value).return_annotation
        assert gives is not inspect.Signature.empty
        if gives != "None":
            (result,) = {"Returns", "Yields"} & {*told}
            assert re.match(r"\S", told[result]), f"{result} is empty"
    if parameters and not fields_of(value):  # the constructor of fields refuses nothing
        assert re.match(r"\w*(Error|Interrupt|Warning)\b", told.get("Raises", "")), "Raises says of no exception"
    assert ">>>" in told.get("Examples", ""), "there is no example"
