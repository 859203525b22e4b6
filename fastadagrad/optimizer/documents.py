"""What the class of a method says of itself: its signature and its docstring, made of its rule and its constructor.

A rule's docstring is a sentence, the formula indented, whatever else is to be told, and numpydoc sections such as
References. Its fields say what they mean, and what its example shows is run with the library's other docstrings.
Functions that take what others take, too, have the entries of those in their own docstring's Parameters.
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
    # The class of optimizers' classes, which describes those that have a rule; it is asked once somebody looks. (It has
    # a property where its own docstring would be: `help` asks the class of a class.)

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
        """Of a method whose constructor is the library's; None leaves it to the constructor."""
        constructor = _constructor_of(cls)
        return signature_of(cls) if hasattr(cls, "rule") and "_making" in vars(constructor) else None


class _Made:
    """In the place of a class's docstring, one that is made when an object of the class is asked for its own."""

    def __get__(self, instance: Any, owner: Any) -> str:
        return docstring_of(owner)


def _constructor_of(method: Any) -> Any:
    """The class whose constructor it has."""
    return next(each for each in method.__mro__ if "__init__" in vars(each))


def signature_of(method: Any) -> inspect.Signature:
    """What the constructor takes, with every hyperparameter of the method by name."""
    _, *arguments = inspect.signature(_constructor_of(method).__init__).parameters.values()
    named = [argument for argument in arguments if argument.kind is not argument.VAR_KEYWORD]
    kind = inspect.Parameter.KEYWORD_ONLY
    hyper = [
        inspect.Parameter(each.name, kind, default=each.default, annotation=each.annotation)
        for each in keywords_of(method.rule)
    ]
    return inspect.Signature([*named, *hyper])


def docstring_of(method: Any) -> str:
    """Summary, formula, all parameters, and where the method comes from, in numpydoc's order."""
    told = sections_of(method.rule.__doc__)
    parts = [_introduction(method.rule, told[""]), _section("Parameters", "\n".join(_parameters(method)))]
    told["Raises"] = _RAISES
    parts += [_section(name, told[name]) for name in _KEPT if name in told]
    example = getattr(method.rule, "example", "")
    if example or "Examples" in told:
        parts.append(_section("Examples", _IMPORTS + example if example else told["Examples"]))
    return "\n".join(parts)


def sections_of(doc: str | None) -> dict[str, str]:
    """Text of a docstring by the heading of its section, and as "" what comes before the first."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", inspect.cleandoc(doc or ""), flags=re.MULTILINE)
    return {"": parts[0].strip()} | {
        name: text.strip("\n") for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def entries_of(section: str) -> dict[tuple[str, ...], str]:
    """Entries of a section by the names that each is of, such as those of "train, valid : Dataset"."""
    entries = re.split(r"\n(?=\S)", section) if section else []
    return {tuple(re.findall(r"\w+", entry.partition("\n")[0].partition(" : ")[0])): entry for entry in entries}


def takes_as(*others: Any) -> Callable[[F], F]:
    """Decorator that tells of the arguments that a function's docstring leaves out as those of others do.

    The Parameters are in the order of the function's signature.
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
    """Paragraphs, the first indented one as a formula."""
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
    """Entries of the constructor's arguments, as its classes tell of them, and of the hyperparameters."""
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
