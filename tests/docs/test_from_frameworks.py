"""The pages for those who come from torch.optim and Keras: each row of arguments and calls against code and record.

A row of calls is one that bench/record_peers.py has run: the left call's trajectory is in the record, and the right one
follows it.
"""

import ast
import inspect
import re

import numpy as np
import pytest
from pages import call, codes, name_of, section, table
from places import ROOT
from trajectories import TOLERANCE, load_record, shapes_of, split, steps, worst_error

import fastadagrad as fa

TORCH, KERAS = "migrating/torch.md", "migrating/keras.md"
# The class that a row of arguments is about, where it is not ADAGRAD.
ABOUT = {
    "momentum": fa.SGD,
    "betas": fa.Adam,
    "beta_1": fa.Adam,
    "beta_2": fa.Adam,
    "alpha": fa.RMSProp,
    "rho": fa.ADADELTA,
    "centered": fa.RMSProp,
    "amsgrad": fa.Adam,
    "etas": fa.RProp,
    "step_sizes": fa.RProp,
    "beta": fa.FTRL,
    "l1_regularization_strength": fa.FTRL,
    "l2_regularization_strength": fa.FTRL,
}
# Names that mean another thing here, or none that anybody would guess: no message tells of them.
UNTOLD = {"l1_regularization_strength", "l2_regularization_strength"}


@pytest.mark.parametrize("row", [*table(TORCH, "Arguments"), *table(KERAS, "Arguments")], ids=lambda row: row[0])
def test_arguments(row):
    """Ours are taken, and theirs are refused with the name of ours."""
    theirs, ours = codes(row[0]), codes(row[1])
    method = ABOUT.get(theirs[0], fa.ADAGRAD)
    taken = inspect.signature(method).parameters
    assert {*ours} <= {*taken}, f"{method.__name__} takes none of these"
    for name in {*theirs} - {*taken} - UNTOLD:
        with pytest.raises(TypeError, match=rf"unexpected keyword '{name}'") as refusal:
            method(params=np.zeros(2), **{name: 0.5})
        assert all(each in str(refusal.value) for each in ours)


def recorded_calls():
    """Names of the cases, by what was called and with which arguments."""
    tree = ast.parse((ROOT / "bench" / "record_peers.py").read_text())
    found = {}
    for each in ast.walk(tree):
        if isinstance(each, ast.Yield) and isinstance(each.value, ast.Tuple):
            name, step = each.value.elts
            if not (isinstance(step, ast.Call) and name_of(step.func) in ("torch_step", "keras_step")):
                continue
            library = name_of(step.func).partition("_")[0]
            method = name_of(step.args[1]) if len(step.args) > 1 else "Adagrad"
            given = {f"{key.arg}": ast.literal_eval(key.value) for key in step.keywords if key.arg}
            if any(key.arg is None for key in step.keywords):  # the penalties
                given |= {"l1_regularization_strength": 0.5, "l2_regularization_strength": 0.05}
            found[library, method, repr(sorted(given.items()))] = ast.literal_eval(name)
    return found


CASES = recorded_calls()
CALLS = [("torch", *row) for row in table(TORCH, "Calls")] + [("keras", *row) for row in table(KERAS, "Calls")]


@pytest.fixture(scope="module")
def record():
    return load_record()


@pytest.mark.parametrize(("library", "left", "right"), CALLS, ids=lambda cell: cell.partition("(")[0].strip("`"))
def test_calls(record, library, left, right):
    method, given = call(codes(left)[0])
    case = CASES[library, method, repr(sorted(given.items()))]
    scope = {"fa": fa, "half": lambda kept: -np.log(2) / np.log(kept)}
    opt = eval(codes(right)[0], {**scope, "p": split(record["start"], shapes_of(record))})
    for t, p in enumerate(steps(record, opt)):
        assert worst_error(p, record[case][t]) <= TOLERANCE, f"{case}, step {t}"


def test_what_was_recorded_of_torch_and_keras_is_on_the_pages():
    told = {(library, *call(codes(left)[0])[:1]) for library, left, _ in CALLS}
    assert {(library, method) for library, method, _ in CASES if method not in ("DoG", "method", "adagrad")} <= told
    assert len(CALLS) == sum("authors" not in case for case in CASES.values())


def test_versions_that_are_named(record):
    (version,) = re.findall(r"by torch ([\d.]+) in", section(TORCH, "Calls"))
    assert f'"torch": "{version}.' in str(record["about"])
