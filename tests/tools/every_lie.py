"""Every lie in every parameter of everything public: a table, where `wild_surface.py` draws calls by chance.

``python tests/tools/every_lie.py`` makes all calls of the table, and ``--every 100`` each hundredth, in processes of
some thousand each. A call is the sensible one of `wild_surface.py`, in which one argument is a lie: an object of which
one special method or property, or several, raise an error that no call may raise, or that contradicts itself; or such
an object inside a list, a tuple or a dict, in the place of an item of the sensible argument, or as what a callable
returns. Numbers are among the lies, too: those at the ends of what a float or an index can be, and beyond.
"""

import argparse
import functools
import os
import sys
import tempfile

import numpy as np
import wild_surface
from wild import Changing, Interface, Lying, Odd, closed_map, interface, make_calls, raising, told, tried
from wild_budgets import tamed

import fastadagrad as fa

ERRORS = KeyError, OverflowError, AttributeError  # which some code takes for answers, each for another
SPECIAL = ["__index__", "__float__", "__int__", "__len__", "__iter__", "__bool__", "__eq__", "__hash__", "__repr__"]
SPECIAL += ["__str__", "__array__", "__getattr__", "__class__", "shape", "dtype", "ndim", "__array_interface__"]
SPECIAL += ["__dlpack__", "__fspath__", "__getitem__", "__contains__", "__lt__", "keys"]
TOGETHER = [
    ["__float__", "__index__", "__repr__", "__str__", "shape", "__len__"],
    ["__getattr__", "__array__", "__fspath__", "__getitem__", "__len__"],
    ["__class__", "__repr__", "__bool__", "__eq__", "__hash__"],
    ["__iter__", "__len__", "__getitem__", "keys", "__contains__", "__array__"],
]
LIES = {  # by name: what makes one
    **{
        f"{'+'.join(names)} {error.__name__}": functools.partial(raising, error, *names)
        for error in ERRORS
        for names in [*([name] for name in SPECIAL), *TOGETHER]
    },
    "an integer beyond all floats": lambda: 10**400,
    "an integer beyond all indices": lambda: 2**63,
    "almost 0": lambda: 5e-324,
    "almost infinite": lambda: 1.7e308,
    "two numbers": lambda: Changing(1, -1),
    "a number, then none": lambda: Changing(1, "a"),
    "memory that is not there": lambda: Interface(interface(0xDEAD0000)),
    "memory of another size": lambda: Interface(interface(), interface(shape=(4,)), 3),
    "an array of another shape": lambda: np.ones(4).view(Lying),
    "an array of no numbers": lambda: np.zeros(0).view(Lying),
    "an array in a map that has been closed": closed_map,
    "a view of such an array": lambda: np.asarray(closed_map())[:],
    "a mapping without its items": lambda: Odd(["a"], {}),
    "a mapping of other names": lambda: Odd([3], {"a": np.ones(3)}),
}
WITHIN = {  # by where the lie is: the argument, of the lie and of the sensible argument
    "itself": lambda lie, sensible: lie,
    "in a list": lambda lie, sensible: [lie],
    "in a tuple": lambda lie, sensible: (lie,),
    "in a dict": lambda lie, sensible: {"a": lie},
    "as a name": lambda lie, sensible: {lie: 1.0},
    "among others": lambda lie, sensible: _replaced(sensible, lie),
    "returned": lambda lie, sensible: lambda *arguments, **keywords: lie,
}


def _replaced(sensible, lie):
    """The sensible argument with the lie as its last item; the lie, if there is no item."""
    if isinstance(sensible, dict) and sensible:
        return {**sensible, [*sensible][-1]: lie}
    if isinstance(sensible, list | tuple) and sensible:
        return type(sensible)([*sensible[:-1], lie])
    return [1.0, lie]


@functools.cache
def parameters():
    """Parameters of the public callables, (name of the callable, name of the parameter), in two lists.

    Methods have most of their parameters in common, and so have minimizers and estimators. The second list has those
    that one of them in the first list has, too.
    """
    found = {}
    wild_surface.files()
    for name, case in wild_surface.cases().items():
        function, arguments = case()
        for parameter in dict.fromkeys([*arguments, *wild_surface.others(function)]):
            found.setdefault((_kind_of(name), parameter), []).append((name, parameter))
    return [first for first, *_ in found.values()], [other for _, *more in found.values() for other in more]


def _kind_of(name):
    value = wild_surface.callables()[name]
    if isinstance(value, type) and issubclass(value, fa.Optimizer):
        return "method"
    if isinstance(value, type) and name.startswith("sklearn."):
        return "estimator"
    return "minimizer" if name.startswith("scipy.") and name != "scipy.method" else name


def count(parameters, every):
    """How many calls there are in a table of these parameters of which each `every`-th is made."""
    return len(range(0, len(parameters) * len(WITHIN) * len(LIES), every))


def call(number, every):
    """Make call `number` of those of a table of which each `every`-th is made; what is wrong with it, or None."""
    rest, lie = divmod(number * every, len(LIES))
    which, where = divmod(rest, len(WITHIN))
    first, others = parameters()
    (name, parameter), where, lie = [*first, *others][which], [*WITHIN][where], [*LIES][lie]
    wild_surface.files()
    function, arguments = wild_surface.cases()[name]()
    try:
        value = WITHIN[where](LIES[lie](), arguments.get(parameter))
    except (TypeError, *ERRORS):
        return None  # what cannot be hashed is no name
    if tamed(parameter, value) is not value:
        return None
    return wild_surface.broken(f"{name}, {parameter}: {lie}, {where}", function, {**arguments, parameter: value})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", "--seed", type=int, default=1)
    parser.add_argument("--once", action="store_true", help="leave out what methods, minimizers and estimators share")
    parser.add_argument("--part", type=int, nargs=2)
    arguments = parser.parse_args()
    if arguments.part:
        make_calls(*arguments.part, arguments.every, call)
        return 0
    os.chdir(tempfile.mkdtemp(prefix="lies-"))
    first, others = parameters()
    calls = count(first if arguments.once else [*first, *others], arguments.every)
    return told("call", calls, tried(calls, arguments.every, 20000, os.path.abspath(__file__)))


if __name__ == "__main__":
    sys.exit(main())
