"""Rows of the tables of docs/conventions.md, each of which is a test; and `scipy.optimize.minimize` in fewer words."""

import re

import bowls
import pytest
from places import ROOT

import fastadagrad.scipy


def rows():
    """A dict by the name of a test: what is expected and what they get; and the decorator that fills it."""
    noted = {}

    def row(expected, got):
        def note(test):
            assert test.__name__ not in noted
            noted[test.__name__] = expected, got
            return test

        return note

    return noted, row


def table(library):
    """Rows of the table that docs/conventions.md has for users of a library."""
    text = (ROOT / "docs" / "conventions.md").read_text()
    (told,) = [part for part in re.split(r"^## ", text, flags=re.MULTILINE) if part.startswith(f"{library}\n")]
    lines = [line for line in told.splitlines() if line.startswith("|")]
    assert lines[0] == f"| what users of {library} expect | what they get |"
    return [tuple(cell.replace(r"\|", "|") for cell in re.split(r" (?<!\\)\| ", line[2:-2])) for line in lines[2:]]


def minimized(
    fun=bowls.both, x0=bowls.START, *, jac=True, method=fastadagrad.scipy.adagrad, tol=None, callback=None, **given
):
    """By `minimize`, with what is not its own as options."""
    optimize = pytest.importorskip("scipy.optimize", reason="needs the extra scipy")
    own = {key: given.pop(key) for key in ("args", "bounds", "constraints", "hess", "hessp") if key in given}
    return optimize.minimize(fun, x0, jac=jac, method=method, tol=tol, callback=callback, options=given, **own)


def theirs(name, **given):
    """The same by a method of SciPy's."""
    return minimized(method=name, **given)
