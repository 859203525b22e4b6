"""Problems by name: the built-in ones, files, and the user's own."""

from __future__ import annotations

import hashlib
import importlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ..data.loading import BUILT_IN
from ..kernels.linear.losses import LOSSES
from ..support.asking import asking, shown
from ..support.checks import whole_number
from ..support.hints import hint
from .named_objects import imported, source_digest
from .named_sources import is_named, source_named
from .problem import Problem, Task

CONDITION = 1e4  # condition number of a quadratic, unless its name has another
VALLEY = (-2.0, 2.0, -1.0, 3.0)

HELP = (
    "rosenbrock, rosenbrock100, quadratic[:CONDITION], quadratic-rotated[:CONDITION], factorisation, digits-softmax, "
    f"digits-mlp, text[:FILE], {', '.join(BUILT_IN)}, a svmlight or .npz file, CSV, Parquet or Arrow as FILE:COLUMN, "
    f"these data with LOSS: before them for a linear model with that loss ({', '.join(LOSSES)}), or "
    "module:attribute of your own"
)


def _quadratic(name: str, argument: str) -> Problem:
    from .analytic import quadratic

    try:
        condition = float(argument or CONDITION)
    except ValueError:
        condition = math.nan
    if not 1 <= condition < math.inf:
        raise ValueError(f"condition of {name!r} must be a number of at least 1, not {argument!r}")
    make = partial(quadratic, condition, name == "quadratic-rotated")
    return Problem(f"{name}-{condition:.3g}".replace("e+0", "e"), make, convex=True)


def _text(name: str, argument: str) -> Problem:
    from .text import embeddings

    label = Path(argument).stem if argument else name
    identity = _digest(argument) if argument else ""
    return Problem(label, partial(embeddings, argument, identity), identity=identity)


def _simple(module: str, function: str, *arguments: Any, **more: Any) -> Callable[[str, str], Problem]:
    def made(name: str, argument: str) -> Problem:
        if argument:
            raise ValueError(f"problem {name!r} takes no argument, not {argument!r}")
        make = getattr(importlib.import_module(f".{module}", __package__), function)
        return Problem(name, partial(make, *arguments) if arguments else make, **more)

    return made


NAMED: dict[str, Callable[[str, str], Problem]] = {
    "rosenbrock": _simple("analytic", "rosenbrock", 2, plane=VALLEY),
    "rosenbrock100": _simple("analytic", "rosenbrock", 100),
    "quadratic": _quadratic,
    "quadratic-rotated": _quadratic,
    "factorisation": _simple("analytic", "factorisation"),
    "digits-softmax": _simple("models", "digits_softmax", convex=True),
    "digits-mlp": _simple("models", "digits_mlp"),
    "text": _text,
}


def problem_named(spec: str) -> Problem:
    """The problem that has a name on the command line.

    Parameters
    ----------
    spec : str
        A built-in name (``quadratic:1e6`` has this condition number, ``text:FILE`` this text); a file with examples, or
        the name of a data set that ``fit`` knows, for a linear model whose loss follows from the labels, or is named
        first, as in ``hinge:breast_cancer``; behind a file with named columns that of the labels, as in
        ``train.csv:price``; or ``module:attribute``, which is a `Problem` or a callable that makes a `Task` from a
        seed. The module is looked for in the current folder, too.

    Raises
    ------
    ValueError, TypeError
        If there is no problem of that name, or if the attribute is of another kind.
    OSError
        If there is no such file.

    Examples
    --------
    >>> from fastadagrad.compare.problems import problem_named
    >>> problem_named("quadratic:1e6").name
    'quadratic-1e6'
    """
    name, _, argument = spec.partition(":")
    if name in NAMED:
        found = NAMED[name](name, argument)
    elif name in LOSSES:
        found = _linear(argument, name)
    elif is_named(spec):
        found = _linear(spec, "auto")
    elif argument:
        found = _own(spec)
    else:
        raise ValueError(f"there is no problem {spec!r}: {hint(spec, [*NAMED, *BUILT_IN]) or f'expected {HELP}'}")
    return replace(found, origin=spec)


def _linear(source: str, loss: str) -> Problem:
    """A linear model of a file or of a data set by its name."""
    from .linear_losses import AUTO, linear

    if not source:
        raise ValueError(f"problem '{loss}:' lacks a file or a data set, one of {', '.join(BUILT_IN)}")
    found = source_named(source)
    identity = _digest(found.path) if found.is_file else ""
    named = found.label() if loss == AUTO else f"{found.label()}-{loss}"
    return Problem(named, partial(linear, found, identity, loss), convex=True, identity=identity)


def _digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


def _own(spec: str) -> Problem:
    """The user's problem of ``module:attribute``."""
    module, _, attribute = spec.partition(":")
    found, identity = imported(f"problem {spec!r}", spec), source_digest(module)
    if isinstance(found, Problem):
        return replace(found, identity=identity)
    if not callable(found):
        expected = "a fastadagrad.compare.Problem, or a callable that makes a Task of a seed"
        raise TypeError(f"problem {spec!r} must be {expected}, not {type(found).__name__}")
    return Problem(attribute, found, identity=identity)


def as_problems(given: Sequence[str | Problem] | str | Problem) -> tuple[Problem, ...]:
    """The given problems as Problem objects; ValueError if there are none, or two of one name."""
    with asking("problems", given):
        several: list[Any] = [*given] if isinstance(given, Iterable) and not isinstance(given, str) else [given]
        for one in several:
            if not isinstance(one, str | Problem):
                raise TypeError(f"problems must be names or fastadagrad.compare.Problem, not {type(one).__name__}")
            if isinstance(one, Problem) and not isinstance(one.name, str):
                raise TypeError(f"name of a problem must be a string, not {shown(one.name)}")
    problems = tuple(problem_named(one) if isinstance(one, str) else one for one in several)
    if not problems:
        raise ValueError(f"problems: expected at least one: {HELP}")
    names = [problem.name for problem in problems]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"problems: there are two called {name!r}: leave one out, or rename its file")
    return problems


def task_of(problem: Problem, seed: int) -> Task:
    """The problem's task for a seed, checked; TypeError or ValueError says what is wrong with a user's task."""
    if not callable(problem.make):
        raise TypeError(f"problem {problem.name!r}: make must be callable as make(seed), not {shown(problem.make)}")
    task = problem.make(seed)
    with asking(f"what problem {problem.name!r} makes"):
        is_task = isinstance(task, Task)
    if not is_task:
        expected = "a fastadagrad.compare.Task for a seed"
        raise TypeError(f"problem {problem.name!r} must make {expected}, not {type(task).__name__}")
    for name in ("epochs", "updates"):
        whole_number(f"problem {problem.name!r}: {name}", getattr(task, name), 1)
    with asking(f"problem {problem.name!r}: best"):
        if task.best is not None and not (isinstance(task.best, int | float) and math.isfinite(task.best)):
            raise ValueError(f"problem {problem.name!r}: best must be a finite number or None, not {shown(task.best)}")
    if task.score is not None and not callable(task.score):
        raise TypeError(f"problem {problem.name!r}: score must be callable as score(params, *valid) or None")
    if problem.plane is not None:
        with asking(f"problem {problem.name!r}: plane"):
            _check_plane(problem.name, problem.plane, task)
    return task


def _check_plane(name: str, plane: Any, task: Task) -> None:
    """Refuse a plane over which no paths can be drawn, before there are runs that a figure would come after."""
    four = isinstance(plane, tuple | list) and len(plane) == 4 and all(isinstance(end, int | float) for end in plane)
    if not (four and all(-math.inf < low < high < math.inf for low, high in (plane[:2], plane[2:]))):
        raise ValueError(
            f"problem {name!r}: plane must be four numbers, x from, x to, y from and y to, not {shown(plane)}"
        )
    if getattr(task.params, "shape", None) != (2,) or task.train is not None:
        suits = "a task without data whose params are one array of two numbers"
        raise ValueError(f"problem {name!r}: plane is for {suits}: leave it out")
