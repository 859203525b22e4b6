"""Signatures and docstrings that are made: of methods of users' own, of subclasses, and of what takes the same."""

import inspect
import pydoc
import re
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest

import fastadagrad as fa
from fastadagrad.kernels.rules import COMMON, documented
from fastadagrad.optimizer.documents import entries_of, sections_of, takes_as
from fastadagrad.optimizer.methods import METHODS, method_named
from fastadagrad.optimizer.second_order import SecondOrder


@pytest.fixture
def own_method():
    @fa.register
    class Rule:
        """Sign descent with a bound.

            d = a * sign(g)

        References
        ----------
        Nobody, "Nothing".
        """

        name = "documented_sign"
        slots = ()
        rests = True
        penalised = False
        defaults = {"learning_rate": 0.25}  # noqa: RUF012
        Scalars = namedtuple("Scalars", (*COMMON, "bound"))
        example = ">>> 1 + 1\n2\n"

        @dataclass(frozen=True, kw_only=True)
        class Hyperparameters:
            bound: float = documented(0.5, "Gradients that are smaller do nothing.")
            plain: bool = False

        def scalar_values(hyper, a, t):
            return (hyper.bound,)

        def initial(hyper, a):
            return ()

        def accumulate(p, g, square, own, s):
            return own

        def scale(own, s):
            return s.one

        def delta(g, H, own, s):
            return (s.learning_rate if g > s.bound else -s.learning_rate if g < -s.bound else s.zero), own

    yield method_named("documented_sign")
    del METHODS["documented_sign"]


def test_a_rule_of_a_users_own(own_method):
    parameters = inspect.signature(own_method).parameters
    assert [*parameters][:12] == [*[*inspect.signature(fa.SGD).parameters][:10], "bound", "plain"]
    assert (parameters["bound"].default, parameters["bound"].annotation) == (0.5, "float")
    assert (parameters["plain"].default, parameters["learning_rate"].default) == (False, 0.25)
    assert not {"l1", "l2", "accumulator"} & {*parameters}
    told = sections_of(own_method.__doc__)
    assert told[""].startswith("Sign descent with a bound.\n\n.. code-block:: text\n\n    d = a * sign(g)\n")
    assert "It has no use for `l1`, `l2`, `accumulator`." in told[""]
    assert (
        "bound : float, default 0.5\n    Gradients that are smaller do nothing.\nplain : bool, default False\n"
        in (told["Parameters"])
    )
    assert told["References"] == 'Nobody, "Nothing".'
    assert told["Examples"].endswith(">>> 1 + 1\n2")


def test_a_rule_without_docstring(own_method):
    rule = own_method.rule
    rule.__doc__ = None
    del rule.example
    assert own_method.__doc__.startswith("The method documented_sign.\n\nIt has no use for")
    assert "Examples" not in sections_of(own_method.__doc__)


def test_help():
    text = pydoc.plain(pydoc.render_doc(fa.FTRL))
    begin, _, rest = text.partition(" |  Method resolution order")
    assert re.search(r"\|  FTRL\([|\s]*loss: ", begin)  # newer Pythons give each argument a line
    assert " ftrl_beta: 'float' = 1.0," in begin
    assert " |  ftrl_l1 : float, default 0\n |      Penalty l1 on the size of a parameter; it makes" in begin
    assert " |  References\n |  ----------\n |  H. B. McMahan" in begin
    assert " |  step(self" in rest
    assert "__signature__" not in rest


def test_docstrings_can_be_set():
    class Mine(fa.Adam):
        rule = fa.Adam.rule

    opt = Mine(params=np.zeros(2))
    assert opt.__doc__ == Mine.__doc__ == inspect.getdoc(Mine) + "\n"
    Mine.__doc__ = "My own."
    assert opt.__doc__ == Mine.__doc__ == "My own."


class TestSubclasses:
    def test_with_the_constructor_of_a_method(self):
        class Mine(fa.Adam):
            """My own."""

        assert inspect.signature(Mine) == inspect.signature(fa.Adam)
        assert Mine.__doc__ == "My own."

    def test_with_a_constructor_of_its_own(self):
        class Mine(fa.Adam):
            def __init__(self, w, *, size=3):
                super().__init__(None, w)

        assert str(inspect.signature(Mine)) == "(w, *, size=3)"
        assert Mine.__doc__ is None
        assert inspect.getdoc(Mine) == inspect.getdoc(fa.Adam) == fa.Adam.__doc__.rstrip()

    def test_what_all_share_has_the_signature_of_its_constructor(self):
        assert [*inspect.signature(fa.Optimizer).parameters][-2:] == ["reduction", "hyper"]
        assert fa.Optimizer.__doc__.startswith("What all methods share")


def of(function):
    """Name, default and type of what a function takes, but for the optimizer and hyperparameters."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: (p.default, p.annotation) for p in parameters if p.name not in ("self", "hyper")}


class TestMinimize:
    def test_takes_what_iterate_takes(self):
        taken, other = (inspect.signature(each) for each in (fa.Optimizer.minimize, fa.Optimizer.iterate))
        assert taken.replace(return_annotation=None) == other.replace(return_annotation=None)
        for each in (fa.Optimizer.minimize, fa.Optimizer.iterate, fa.minimize):
            assert str(inspect.signature(each).parameters["hyper"].annotation) == "Unpack[Hyper]"

    def test_of_the_library_takes_what_iterate_and_the_constructors_take(self):
        made = of(SecondOrder.__init__)
        expected = {**made, **of(fa.Optimizer.iterate), "algo": ("adagrad", "str")}
        expected["loss"] = (inspect.Parameter.empty, "Callable[..., Any]")
        assert of(fa.minimize) == expected
        assert made.items() >= of(fa.Optimizer.__init__).items()

    def test_build_takes_what_the_constructors_take(self):
        assert of(fa.build) == {"algo": (inspect.Parameter.empty, "str"), **of(SecondOrder.__init__)}
        names = [*inspect.signature(fa.build).parameters]
        assert names == ["algo", *[*inspect.signature(SecondOrder.__init__).parameters][1:]]

    def test_tells_of_the_arguments_as_iterate_does(self):
        told = sections_of(fa.Optimizer.minimize.__doc__)
        assert told["Parameters"] == sections_of(fa.Optimizer.iterate.__doc__)["Parameters"]
        assert [*told] == ["", "Parameters", "Returns", "Raises", "Examples"]


def test_takes_as():
    def other(a, b, c, **hyper):
        """Do.

        Parameters
        ----------
        a, c : int
            Numbers.
        b : str
            Text,

            and more.
        **hyper
            Others.
        """

    @takes_as(other)
    def function(b, c, d=1, **hyper):
        """Do it.

        Then more.

        Parameters
        ----------
        d : int, default 1
            Own.

        Returns
        -------
        int
        """

    assert (
        function.__doc__
        == inspect.cleandoc(
            """Do it.

        Then more.

        Parameters
        ----------
        b : str
            Text,

            and more.
        a, c : int
            Numbers.
        d : int, default 1
            Own.
        **hyper
            Others.

        Returns
        -------
        int
        """
        )
        + "\n"
    )
    assert [*entries_of(sections_of(function.__doc__)["Parameters"])] == [("b",), ("a", "c"), ("d",), ("hyper",)]
    assert takes_as(other)(lambda b: 0).__doc__ is None
