"""`fastadagrad compare`: what it says of problems, contenders and recipes."""

import json
import sys

import pytest

from fastadagrad.cli import main

for extra in ("pyarrow", "matplotlib", "sklearn", "scipy"):
    pytest.importorskip(extra)

QUICK = ["--jobs", "0", "--quiet", "--no-extend", "--seeds", "1", "--epochs", "2", "--rates", "0.01:0.1:2"]
OWN = """
class Plain:
    def __init__(self, params, learning_rate):
        self.params, self.rate = params, learning_rate

    def step(self, gradients):
        for param, gradient in zip(self.params, gradients):
            param -= self.rate * gradient
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "plain_descent.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("plain_descent", None)


def test_names_that_fit_knows_and_methods_of_all_kinds(here, capsys):
    methods = ["sgd", "adam", "adam:paper", "scipy:L-BFGS-B", "plain_descent:Plain"]
    assert main(["compare", "digits", "iris", "--methods", *methods, *QUICK]) == 0
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert " is best on 2 of 2 problems" in lines[0] or "first" in lines[0] or "mean rank" in lines[0]
    matrix = lines[2:8]
    assert matrix[0].split()[-2:] == ["digits", "iris"]
    assert {row.split()[0] for row in matrix[1:]} == {*methods}
    assert "adam: beta1 0.906 (paper 0.9), beta2 0.99 (paper 0.999)." in lines
    assert "adam:paper:" not in printed
    assert "score: accuracy of digits, iris." in lines
    assert "!: the best rate is at an end of its grid: rates beyond it may be better." in lines
    by_name = {line.split()[0]: line for line in lines[lines.index("digits") + 2 : lines.index("iris") - 1]}
    assert by_name["sgd"].split()[1:5] == by_name["plain_descent:Plain"].split()[1:5]


def test_grids_go_on_unless_told_not_to(here, capsys):
    arguments = ["compare", "quadratic:10", "--methods", "sgd", "--json", "--out", "out", *QUICK]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["plan"]["rates_added"] == []
    assert main([*(a for a in arguments if a != "--no-extend"), "--extend"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["plan"]["rates_added"] == [{"problem": "quadratic-10", "method": "sgd", "rates": [1.0, 10.0]}]
    assert found["table"][0]["best_rate"] == 1.0
    assert found["verdict"]["matrix"][0]["edge"] == ""


def test_the_recipe_of_algoperf(here, capsys):
    arguments = [
        "compare",
        "quadratic:10",
        "--recipe",
        "algoperf",
        "--methods",
        "sgd",
        "cocob",
        "--jobs",
        "0",
        "--quiet",
    ]
    assert main([*arguments, "--epochs", "3", "--seeds", "3"]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[0].split()[-1] == "quadratic-10"
    assert "fastest of 5 trials, median of 3 studies" in printed
    assert (here / "comparison" / "results.csv").exists()
    assert main([*arguments, "--epochs", "3", "--seeds", "3", "--json", "--out", "comparison"]) == 0
    assert {row["method"] for row in json.loads(capsys.readouterr().out)["scores"]} == {"sgd", "cocob"}
    assert main([*arguments, "--quick"]) == 2
    assert "takes no --quick: it draws 5 rates a study" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rosenbrock", "--methods", "ftrl:paper"], "ftrl has its paper's numbers as it is"),
        (["rosenbrock", "--methods", "scipy:Powell"], "expected one that goes by gradients: L-BFGS-B, BFGS, CG"),
        (["rosenbrock", "--methods", "plain_descent:Plan"], "module 'plain_descent' has no 'Plan'"),
        (["rosenbrock", "--methods", "plain_descent:Plain:rate=3"], "unknown option 'rate'"),
        (["hinge:iris"], "iris: y has 3 classes: hinge takes two; use softmax"),
        (["hinge:"], "problem 'hinge:' lacks a file or a data set"),
        (
            ["--methods", "sgd", "plain_descent:Plain", "quadratic:10"],
            "--methods has 'quadratic:10', which is no method",
        ),
    ],
)
def test_nonsense_is_refused_in_one_line(here, capsys, arguments, message):
    assert main(["compare", *arguments, "--jobs", "0"]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not (here / "comparison").exists()
