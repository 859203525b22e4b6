"""What type checkers refuse of calls is what is refused when they are run: above all the keywords of other methods."""

import ast
import importlib.util
import re
import subprocess
import sys

import numpy as np
import pytest
from places import ROOT, TOOLS

import fastadagrad as fa
from fastadagrad import adaptive

CALLS = TOOLS / "typed_calls.py"
WRONG = [i for i, line in enumerate(CALLS.read_text().splitlines(), 1) if line.endswith("# wrong")]


@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is missing: pip install fastadagrad[lint]")
def test_mypy_refuses_the_wrong_calls_and_no_others():
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--show-error-codes", str(CALLS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)
    assert not done.stderr, done.stderr
    found = [re.fullmatch(r"(.+?):(\d+): (error|note): (.*)", line) for line in done.stdout.splitlines()]
    assert all(found), done.stdout
    errors = [match for match in found if match[3] == "error"]
    elsewhere = [match[0] for match in errors if not CALLS.samefile(ROOT / match[1])]
    assert not elsewhere, "\n".join(elsewhere)
    lines = {int(match[2]) for match in errors}
    assert not lines - {*WRONG}, "\n".join(match[0] for match in errors if int(match[2]) not in WRONG)
    assert not {*WRONG} - lines, f"accepted, but wrong: {sorted({*WRONG} - lines)}"


def calls():
    """Every call of a constructor that stands alone, as code, and whether it is wrong."""
    for node in ast.parse(CALLS.read_text()).body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            text = ast.unparse(node)
            if re.match(r"(fa\.[A-Z]|ADAGRAD)\w*\(", text):
                yield pytest.param(text, node.lineno in WRONG, id=text)


@pytest.mark.parametrize(("text", "wrong"), list(calls()))
def test_python_says_the_same(text, wrong):
    names = {"fa": fa, "ADAGRAD": fa.ADAGRAD, "w": np.zeros((2, 2)), "loss": lambda w: (w @ w, 2 * w), "np": np}
    if not wrong:
        eval(text, names)
        return
    with pytest.raises((TypeError, ValueError)):
        eval(text, names)


def test_every_class_is_called_rightly_and_wrongly():
    called = {(param.values[0].partition("(")[0].removeprefix("fa."), param.values[1]) for param in calls()}
    assert called == {(name, wrong) for name in (*adaptive.__all__, "LinearModel") for wrong in (False, True)}
