"""Comparisons of adaptive methods: problems x methods x seeds x learning rates, with an equal budget."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .comparison import Comparison as Comparison
    from .comparison import compare as compare
    from .problem import Problem as Problem
    from .problem import Task as Task
    from .studies import AlgoPerf as AlgoPerf
    from .studies import algoperf as algoperf
    from .verdict import Verdict as Verdict

# Names are imported when they are first asked for. A worker process imports this package before it sets how many
# threads NumPy's libraries may have, and these libraries must not be loaded earlier.
_HOMES = {
    "AlgoPerf": "studies",
    "Comparison": "comparison",
    "Problem": "problem",
    "Task": "problem",
    "Verdict": "verdict",
    "algoperf": "studies",
    "compare": "comparison",
}
__all__ = ["AlgoPerf", "Comparison", "Problem", "Task", "Verdict", "algoperf", "compare"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value
