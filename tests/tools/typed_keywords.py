"""What type checkers know of the methods' keywords, written from the rules.

    python tests/tools/typed_keywords.py

writes fastadagrad/optimizer/adaptive.pyi, where each constructor has the hyperparameters of its method;
fastadagrad/optimizer/building.pyi, where `build` has them by the method's name;
fastadagrad/engine/typed_keywords.py, those of any method, for what takes the keywords of all; and
fastadagrad/linear/typed_keywords.py, what linear models take for their method beside the options of all. It is to be
run after a method, or an option of all methods, has been added or changed; `test_registry_agrees` compares the files
with the rules.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from places import ROOT

from fastadagrad.engine.keywords import Keyword, keywords_of
from fastadagrad.engine.registry import names_of_simple_rules, rule_named
from fastadagrad.optimizer import adaptive

STUB = ROOT / "fastadagrad" / "optimizer" / "adaptive.pyi"
BUILDING = ROOT / "fastadagrad" / "optimizer" / "building.pyi"
KEYWORDS = ROOT / "fastadagrad" / "engine" / "typed_keywords.py"
OF_LINEAR_MODELS = ROOT / "fastadagrad" / "linear" / "typed_keywords.py"
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

BUILDING_HEAD = f"""\
# {NOTE}
# fmt: off
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Unpack, overload

from ..engine.options import Hyper, Schedule
from . import adaptive
from .curvature import HessianProduct
from .monitors import Monitor
from .objective import Gradient
from .optimizer import Optimizer
from .updates import Pair

def method_named(algo: str) -> type[Optimizer]: ...
"""

BUILDING_TAIL = """\
@overload
def build(
    algo: str, loss: Callable[..., Any] | None = None, params: Any = None, inputs: Sequence[str] | None = None,
    updates: Iterable[Pair] = (), monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (),
    monitor_gradients: bool = False, *, gradient: Gradient = None, comm: Any = None, reduction: str = "mean",
    hv: HessianProduct = None, hv_rng: Any = None, **hyper: Unpack[Hyper],
) -> Optimizer: ...
"""

KEYWORDS_HEAD = f'''\
"""Keywords of all methods, for type checkers.

{NOTE}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypedDict

Schedule = Callable[[int], float]


class Hyper(TypedDict, total=False):
    """Hyperparameters of any method; those of one are in the constructor of its class."""

'''


ATTRIBUTES_HEAD = '''

class _Rate:
    """A learning rate as an attribute: what is read is mostly a number, which a callable is to type checkers, too."""

    if TYPE_CHECKING:

        def __get__(self, owner: Any, kind: Any) -> Any: ...
        def __set__(self, owner: Any, value: float | Schedule) -> None: ...


class HyperAttributes:
    """The same as attributes. There are none at run time: whoever has them says which."""

'''

OF_LINEAR_MODELS_HEAD = f'''\
"""Keywords of linear models that some methods take and others do not, for type checkers.

{NOTE}
"""

from __future__ import annotations

from typing import TypedDict


class OwnHyper(TypedDict, total=False):
    """Hyperparameters of a linear model's method, beside the options of all."""

'''


def stub() -> str:
    exported = textwrap.fill(", ".join(f'"{name}"' for name in adaptive.__all__), 116)
    classes = (_class(getattr(adaptive, name)) for name in adaptive.__all__)
    return f"{STUB_HEAD}\n__all__ = [\n{textwrap.indent(exported, '    ')},\n]\n\n{chr(10).join(classes)}"


def building() -> str:
    classes = (getattr(adaptive, name) for name in adaptive.__all__)
    return f"{BUILDING_HEAD}{''.join(map(_overload, classes))}{BUILDING_TAIL}"


def _overload(method: Any) -> str:
    parameters = list(inspect.signature(method).parameters.values())
    first = next(i for i, each in enumerate(parameters) if each.kind is each.KEYWORD_ONLY)
    told = [_written(each) for each in parameters]
    arguments = _filled([f'algo: Literal["{method.rule.name}"]', *told[:first], "*", *told[first:]], 4)
    return f"@overload\ndef build(\n{arguments}\n) -> adaptive.{method.__name__}: ...\n"


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


def _filled(arguments: list[str], indent: int = 8) -> str:
    """Lines that break between arguments alone."""
    solid = " ".join(f"{argument},".replace(" ", "\0") for argument in arguments)
    lines = textwrap.wrap(solid, 120 - indent, break_long_words=False, break_on_hyphens=False)
    return textwrap.indent("\n".join(lines).replace("\0", " "), " " * indent)


def keywords() -> str:
    rules = (getattr(adaptive, name).rule for name in adaptive.__all__)
    own = [*{each.name: each for rule in rules for each in keywords_of(rule)}.values()]
    names = ATTRIBUTES_HEAD + "".join(_attribute(each) for each in own)
    return KEYWORDS_HEAD + _typed(own) + names


def _attribute(keyword: Keyword) -> str:
    annotation = "_Rate" if "Schedule" in keyword.annotation else keyword.annotation.replace("'", '"')
    return f"    {keyword.name}: {annotation}\n"


def of_linear_models() -> str:
    rules = map(rule_named, names_of_simple_rules())
    own = ((keywords_of(rule), {field.name for field in fields(rule.Hyperparameters)}) for rule in rules)
    return OF_LINEAR_MODELS_HEAD + _typed(each for known, names in own for each in known if each.name in names)


def _typed(keywords: Iterable[Keyword]) -> str:
    found: dict[str, Keyword] = {}
    for each in keywords:
        same = found.setdefault(each.name, each)
        assert same.annotation == each.annotation, f"{each.name} has two types"
    return "".join(f"    {each.name}: {each.annotation}\n" for each in found.values()).replace("'", '"')


FILES = {STUB: stub, BUILDING: building, KEYWORDS: keywords, OF_LINEAR_MODELS: of_linear_models}

if __name__ == "__main__":
    for path, text in FILES.items():
        path.write_text(text())
        print(path, file=sys.stderr)
