"""The page for those who come from Vowpal Wabbit: its flags against the command line, its calls against a record.

bench/record_vowpal_wabbit.py has recorded what Vowpal Wabbit predicts.
"""

import argparse
import ast
import inspect
import re

import numpy as np
import pytest
from pages import codes, section, table
from places import RECORDED

import fastadagrad as fa
from fastadagrad.cli import fit, predict
from fastadagrad.engine.registry import rule_names
from fastadagrad.linear import LinearModel

PAGE = "migrating/vowpal_wabbit.md"


def options_of(command):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return {option: action for action in parser._actions for option in action.option_strings}


OPTIONS = options_of(predict) | options_of(fit)


@pytest.mark.parametrize("row", table(PAGE, "Flags"), ids=lambda row: row[0])
def test_flags(row):
    """Options are there and take these values; so are keywords of `LinearModel`, and what is called."""
    _, command, model = row
    for text in codes(command):
        words = text.split()
        for word, value in zip(words, [*words[1:], ""], strict=True):
            if word.startswith("--"):
                action = OPTIONS[word]
                assert not action.choices or value in action.choices
    for text in codes(model)[:1]:
        if re.fullmatch(r"\w+=.*", text):
            given = {key.arg: ast.literal_eval(key.value) for key in ast.parse(f"f({text})").body[0].value.keywords}
            assert LinearModel(**given)
        else:
            name, inside = re.fullmatch(r"(\w+)\((.*)\)", text).groups()
            taken = inspect.signature(getattr(LinearModel, name)).parameters
            assert set(re.findall(r"(\w+)=", inside)) <= {*taken}
    for name in re.findall(r"--method (\w+)", command):
        assert name in rule_names()


def test_defaults_that_are_told():
    model = fa.LinearModel()
    assert model._parameters["method"] == "adagrad"
    assert model._parameters["scale"] == "auto"
    x = np.random.default_rng(0).standard_normal((50, 2))
    assert model._parameters["average"] == "auto"
    assert model._parameters["implicit"] is model._parameters["learning_rate"] is None
    found = fa.LinearModel(max_epochs=1).fit(x, x[:, 0] > 0).learning_rate_
    assert found == fa.LinearModel(max_epochs=1, learning_rate="auto").fit(x, x[:, 0] > 0).learning_rate_ != 0.1
    assert fa.LinearModel().partial_fit(x, x[:, 0] > 0).learning_rate_ == 0.1


@pytest.fixture(scope="module")
def record():
    with np.load(RECORDED / "vowpal_wabbit.npz", allow_pickle=False) as archive:
        return dict(archive)


def progressive(model, X, y):
    """Scores of examples before the model learns from them, in one pass."""
    found, classes = [0.0], {} if model.loss in ("squared", "quantile") else {"classes": [-1, 1]}
    for n in range(len(y)):
        if n:
            found.append(model.decision_function(X[n : n + 1]).item())
        model.partial_fit(X[n : n + 1], y[n : n + 1], **classes)
    return np.array(found)


CALLS = table(PAGE, "Calls")


@pytest.mark.parametrize(("flags", "ours"), CALLS, ids=lambda cell: cell.strip("`")[:60])
def test_calls(record, flags, ours):
    model = eval(codes(ours)[0].removesuffix(")") + ', scale="none")', {"fa": fa})
    y = record["y"].astype(float if model.loss in ("squared", "quantile") else int)
    scores, theirs = progressive(model, record["X"], y), record[codes(flags)[0]]
    assert np.abs(theirs).max() > 1
    np.testing.assert_allclose(scores, theirs, rtol=0, atol=2e-6)


def test_calls_are_those_of_the_record(record):
    assert {codes(flags)[0] for flags, _ in CALLS} == {*record} - {"X", "y", "version"}
    assert f"Vowpal Wabbit {str(record['version']).rpartition('.')[0]}" in section(PAGE, "Calls")
