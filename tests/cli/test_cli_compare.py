"""`fastadagrad compare`."""

import json

import pytest

from fastadagrad.cli import main

for extra in ("pyarrow", "matplotlib"):
    pytest.importorskip(extra)

QUICK = ["--quick", "--jobs", "0", "--quiet"]


def test_it_prints_a_table_and_writes_a_report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "quadratic:10", "--methods", "sgd", "adagrad", *QUICK]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "quadratic-10"
    assert printed[1].startswith("method")
    assert {row.split()[0] for row in printed[2:4]} == {"sgd", "adagrad"}
    assert printed[-1] == "report: comparison/report.html"
    assert (tmp_path / "comparison" / "report.html").exists()


def test_json(tmp_path, capsys):
    arguments = [
        "--methods",
        "sgd",
        "--out",
        str(tmp_path),
        "--json",
        "--rates",
        "0.1:1:2",
        "--seeds",
        "2",
        "--epochs",
        "1",
    ]
    assert main(["compare", "rosenbrock", *QUICK, *arguments]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["plan"]["rates"], found["plan"]["seeds"], found["plan"]["epochs"]) == ([0.1, 1], 2, {"rosenbrock": 1})
    assert len(found["runs"]) == 4


def test_progress_is_shown_if_asked(tmp_path, capsys):
    pytest.importorskip("tqdm")
    arguments = ["compare", "quadratic", "--methods", "sgd", "--out", str(tmp_path), *QUICK]
    assert main([*arguments, "--progress"]) == 0
    assert "4/4" in capsys.readouterr().err
    assert main(arguments) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rosenbrok"], "there is no problem 'rosenbrok': did you mean 'rosenbrock'?"),
        (["missing.svm"], "missing.svm: No such file or directory"),
        (["rosenbrock", "--methods", "adagard"], "there is no method 'adagard': did you mean 'adagrad'?"),
        (["rosenbrock", "--rates", "1"], "rates must be LOW:HIGH:N, as in 1e-4:10:11, not '1'"),
        (["rosenbrock", "--seeds", "0"], "seeds must be a whole number of at least 1, not 0"),
    ],
)
def test_nonsense_is_refused_in_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", *arguments, "--jobs", "0"]) == 2
    assert capsys.readouterr().err == f"fastadagrad: {message}\n"
    assert list(tmp_path.iterdir()) == []


def test_table1(capsys):
    arguments = ["compare", "breast_cancer", "--recipe", "table1", "--seeds", "2", "--rates", "0.01:0.1:2"]
    assert main(arguments) == 0
    printed, told = capsys.readouterr()
    rows = printed.splitlines()
    assert rows[0].split()[:3] == ["method", "test", "error"]
    assert [row.split()[0] for row in rows[1:]] == ["RDA", "FB", "AdaGrad-RDA", "AdaGrad-FB"]
    assert "fastadagrad: FB: 2 shuffles, 2 rates" in told
    assert main([*arguments, "--json", "--quiet", "--positive", "0"]) == 0
    printed, told = capsys.readouterr()
    assert told == ""
    found = json.loads(printed)
    assert len(found["lines"]) == 4
    assert all(set(line["rates"]) <= {0.01, 0.1} for line in found["lines"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["iris"], "iris has the labels 0, 1, 2: positive must be the one that is told from the others, not None"),
        (
            ["iris", "wine"],
            "--recipe table1 takes one file, and no --methods, --epochs, --jobs or --quick, not 2 of them",
        ),
        (["iris", "--epochs", "3"], "not --epochs"),
        (["nowhere.svm"], "No such file"),
    ],
)
def test_table1_refuses(capsys, arguments, message):
    assert main(["compare", *arguments, "--recipe", "table1"]) == 2
    assert message in capsys.readouterr().err
