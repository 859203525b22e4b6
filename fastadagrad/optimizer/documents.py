"""Signatures and docstrings of the classes of methods, made from their rules and constructors.

A rule's docstring has a sentence, the formula indented, further paragraphs, and numpydoc sections such as References.
The fields of its hyperparameters have texts of their own, and its `example` is run as a doctest of the class. A
function that passes arguments on to another function gets the entries of these arguments from the other's docstring.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from abc import ABCMeta
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ..engine.keywords import Keyword, keywords_of
from ..engine.options import Options, options_of
from ..kernels.rules import form_of, places

F = TypeVar("F", bound=Callable[..., Any])

_KEPT = ("Attributes", "Raises", "Warnings", "See Also", "Notes", "References")
_MOTION = """\
no momentum:        p <- p - d
momentum m:         v <- m*v - d ;  p <- p + v
Nesterov:           v <- m*v - d ;  p <- p + (m*v - d)
"""
_ORDER = "All arithmetic is in the parameter's dtype and in this order: the result has the bits that NumPy gives."
_RAISES = """\
TypeError
    If a parameter is no array that can be updated in place, or there is no such keyword, or it is of another type.
ValueError
    If a hyperparameter has a value, or is one of a combination, that makes no sense. The message names it and the mend.
"""
_IMPORTS = ">>> import numpy as np\n>>> import fastadagrad as fa\n"
_WORDS = {"Schedule": "callable", "Mapping[str, Mapping[str, Any]]": "dict of str to dict"}


class Described(ABCMeta):
    # The metaclass of optimizers: it makes the signature and the docstring of a class that has a rule when somebody
    # asks for them. (The metaclass has no docstring itself, since a property has its place: `help` on a class reads it
    # from there.)

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any) -> Any:
        made = "rule" in namespace and not namespace.get("__doc__")
        return super().__new__(mcs, name, bases, {**namespace, "__doc__": _Made()} if made else namespace, **kwargs)

    @property
    def __doc__(cls) -> str | None:
        own = vars(cls).get("__doc__")
        return docstring_of(cls) if isinstance(own, _Made) else own

    @__doc__.setter
    def __doc__(cls, doc: str | None) -> None:
        type.__dict__["__doc__"].__set__(cls, doc)

    @property
    def __signature__(cls) -> inspect.Signature | None:
        """The signature of a method's class; None if the class has a constructor of its own, which then shows it."""
        constructor = _constructor_of(cls)
        return signature_of(cls) if hasattr(cls, "rule") and "_making" in vars(constructor) else None


class _Made:
    """A descriptor in the place of a class's docstring, which makes the docstring when an instance is asked for it."""

    def __get__(self, instance: Any, owner: Any) -> str:
        return docstring_of(owner)


def _constructor_of(method: Any) -> Any:
    """The class, among a method's class and its bases, that defines the constructor."""
    return next(each for each in method.__mro__ if "__init__" in vars(each))


def signature_of(method: Any) -> inspect.Signature:
    """The signature of a method's constructor, with every hyperparameter of the method by name."""
    _, *arguments = inspect.signature(_constructor_of(method).__init__).parameters.values()
    named = [argument for argument in arguments if argument.kind is not argument.VAR_KEYWORD]
    kind = inspect.Parameter.KEYWORD_ONLY
    hyper = [
        inspect.Parameter(each.name, kind, default=each.default, annotation=each.annotation)
        for each in keywords_of(method.rule)
    ]
    return inspect.Signature([*named, *hyper])


def docstring_of(method: Any) -> str:
    """The docstring of a method's class: summary, formula, all parameters, references, ..., in numpydoc's order."""
    told = sections_of(method.rule.__doc__)
    parts = [_introduction(method.rule, told[""]), _section("Parameters", "\n".join(_parameters(method)))]
    told["Raises"] = _RAISES
    parts += [_section(name, told[name]) for name in _KEPT if name in told]
    example = getattr(method.rule, "example", "")
    if example or "Examples" in told:
        parts.append(_section("Examples", _IMPORTS + example if example else told["Examples"]))
    return "\n".join(parts)


def sections_of(doc: str | None) -> dict[str, str]:
    """The sections of a docstring by their headings; the text before the first heading is under ""."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", inspect.cleandoc(doc or ""), flags=re.MULTILINE)
    return {"": parts[0].strip()} | {
        name: text.strip("\n") for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def entries_of(section: str) -> dict[tuple[str, ...], str]:
    """Entries of a section by the names that each describes: "train, valid : Dataset" has the key (train, valid)."""
    entries = re.split(r"\n(?=\S)", section) if section else []
    return {tuple(re.findall(r"\w+", entry.partition("\n")[0].partition(" : ")[0])): entry for entry in entries}


def takes_as(*others: Any) -> Callable[[F], F]:
    """Decorator that completes the Parameters section of a function's docstring with entries of other docstrings.

    Arguments that the function's docstring leaves out are taken from the others. Entries are put into the order of the
    function's signature.
    """

    def completed(function: F) -> F:
        if function.__doc__:
            told = {"": "", "Parameters": ""} | sections_of(function.__doc__)
            known: dict[str, str] = {}
            for each in (*others, function):
                for names, entry in entries_of(sections_of(each.__doc__).get("Parameters", "")).items():
                    known |= dict.fromkeys(names, entry)
            taken = [known[name] for name in inspect.signature(function).parameters if name in known]
            told["Parameters"] = "\n".join(dict.fromkeys(taken))
            sections = [_section(name, text) for name, text in told.items() if name]
            function.__doc__ = "\n".join([told[""] + "\n", *sections])
        return function

    return completed


def _section(name: str, text: str) -> str:
    return f"{name}\n{'-' * len(name)}\n{text.rstrip()}\n"


def _introduction(rule: Any, told: str) -> str:
    """The paragraphs before the first section, of which the first indented one becomes a code block, the formula."""
    summary, *paragraphs = told.split("\n\n") if told else [f"The method {rule.name}."]
    formula = next((i for i, each in enumerate(paragraphs) if each.startswith("    ")), None)
    moves = not places(form_of(rule, rule.Hyperparameters()))
    if formula is not None:
        motion = "\n" + textwrap.indent(_MOTION.rstrip(), "    ") if moves else ""
        paragraphs[formula] = f".. code-block:: text\n\n{paragraphs[formula]}{motion}"
        paragraphs.append(_ORDER)
    refused = [f"`{name}`" for name in vars(Options()) if name not in options_of(rule)]
    if refused:
        paragraphs.append(textwrap.fill(f"It has no use for {', '.join(refused)}.", 120))
    return "\n\n".join([summary, *paragraphs]) + "\n"


def _parameters(method: Any) -> Iterator[str]:
    """Entries of the constructor's arguments, from the docstrings of its classes, and of the hyperparameters."""
    for owner in reversed(method.__mro__):
        if "_making" in vars(owner):
            entries = entries_of(sections_of(owner.__doc__).get("Parameters", ""))
            yield from (entry for names, entry in entries.items() if names != ("hyper",))
    for each in keywords_of(method.rule):
        yield f"{each.name} : {_type_of(each)}, default {_written(each.default)}"
        if each.doc:
            yield textwrap.fill(each.doc, 116, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)


def _type_of(keyword: Keyword) -> str:
    choices = re.fullmatch(r"Literal\[(.*)\]", keyword.annotation)
    if choices:
        return "{" + choices[1].replace("'", '"') + "}"
    return " or ".join(_WORDS.get(part, part) for part in keyword.annotation.split(" | "))


def _written(default: Any) -> str:
    if type(default) is float:
        return f"{default:g}".replace("e-0", "e-")
    return f'"{default}"' if isinstance(default, str) else repr(default)
