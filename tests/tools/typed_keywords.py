"""What type checkers know of the methods' keywords, written from the rules.

    python tests/tools/typed_keywords.py

writes fastadagrad/optimizer/adaptive.pyi, where each constructor has the hyperparameters of its method, and
fastadagrad/engine/typed_keywords.py, those of any method, for what takes the keywords of all. It is to be run
after a method, or an option of all methods, has been added or changed; `test_registry_agrees` compares both files with
the rules.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from typing import Any

from places import ROOT

from fastadagrad.engine.keywords import Keyword, keywords_of
from fastadagrad.optimizer import adaptive

STUB = ROOT / "fastadagrad" / "optimizer" / "adaptive.pyi"
KEYWORDS = ROOT / "fastadagrad" / "engine" / "typed_keywords.py"
NOTE = "Written by tests/tools/typed_keywords.py from the rules: run it instead of editing this."

STUB_HEAD = f"""\
# {NOTE}
# fmt: off
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from ..engine.options import Schedule
from .curvature import HessianProduct
from .monitors import Monitor
from .objective import Gradient
from .optimizer import Optimizer
from .second_order import SecondOrder
from .updates import Pair
"""

KEYWORDS_HEAD = f'''\
"""Keywords of all methods, for type checkers.

{NOTE}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypedDict

Schedule = Callable[[int], float]


class Hyper(TypedDict, total=False):
    """Hyperparameters of any method; those of one are in the constructor of its class."""

'''


def stub() -> str:
    exported = textwrap.fill(", ".join(f'"{name}"' for name in adaptive.__all__), 116)
    classes = (_class(getattr(adaptive, name)) for name in adaptive.__all__)
    return f"{STUB_HEAD}\n__all__ = [\n{textwrap.indent(exported, '    ')},\n]\n\n{chr(10).join(classes)}"


def _class(method: Any) -> str:
    parameters = list(inspect.signature(method).parameters.values())
    first = next(i for i, each in enumerate(parameters) if each.kind is each.KEYWORD_ONLY)
    told = [_written(each) for each in parameters]
    arguments = _filled(["self", *told[:first], "*", *told[first:]])
    base = method.__mro__[1].__name__
    return f"class {method.__name__}({base}):\n    def __init__(\n{arguments}\n    ) -> None: ...\n"


def _written(parameter: inspect.Parameter) -> str:
    default = "..." if isinstance(parameter.default, dict) else _literal(parameter.default)
    annotation = str(parameter.annotation).replace("'", '"')
    return f"{parameter.name}: {annotation} = {default}"


def _literal(default: Any) -> str:
    text = repr(default)
    return text.replace("e-0", "e-") if isinstance(default, float) else text.replace("'", '"')


def _filled(arguments: list[str]) -> str:
    """Lines that break between arguments alone."""
    solid = " ".join(f"{argument},".replace(" ", "\0") for argument in arguments)
    lines = textwrap.wrap(solid, 112, break_long_words=False, break_on_hyphens=False)
    return textwrap.indent("\n".join(lines).replace("\0", " "), " " * 8)


def keywords() -> str:
    found: dict[str, Keyword] = {}
    for name in adaptive.__all__:
        for each in keywords_of(getattr(adaptive, name).rule):
            same = found.setdefault(each.name, each)
            assert same.annotation == each.annotation, f"{each.name} has two types"
    return KEYWORDS_HEAD + "".join(f"    {each.name}: {each.annotation}\n" for each in found.values()).replace("'", '"')


FILES = {STUB: stub, KEYWORDS: keywords}

if __name__ == "__main__":
    for path, text in FILES.items():
        path.write_text(text())
        print(path, file=sys.stderr)
