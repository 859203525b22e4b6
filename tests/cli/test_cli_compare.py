"""`fastadagrad compare`."""

import json
import re

import pytest

from fastadagrad.cli import main, screen
from fastadagrad.optimizer.methods import METHODS

for extra in ("pyarrow", "matplotlib"):
    pytest.importorskip(extra)

QUICK = ["--quick", "--jobs", "0", "--quiet"]


def test_it_prints_a_table_and_writes_a_report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "quadratic:10", "--methods", "sgd", "adagrad", *QUICK]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert re.match(r"(sgd|adagrad) is best on quadratic-10; .* too few for a test", printed[0])
    assert printed[2] == "quadratic-10"
    assert printed[3].startswith("method")
    assert {row.split()[0] for row in printed[4:6]} == {"sgd", "adagrad"}
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
        (["rosenbrock", "--rates", "1"], "--rates must be LOW:HIGH:N, as in 1e-4:10:11, not '1'"),
        (["rosenbrock", "--seeds", "0"], "--seeds must be a whole number of at least 1, not 0"),
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
    assert [row.split()[0] for row in rows[1:7]] == ["RDA", "FB", "AdaGrad-RDA", "AdaGrad-FB", "PA", "AROW"]
    assert "fastadagrad: FB: 2 shuffles, the best rate 0." in told
    assert main([*arguments, "--json", "--quiet", "--positive", "0"]) == 0
    printed, told = capsys.readouterr()
    assert all("no penalty" in line or "at an end of its grid" in line for line in told.splitlines())
    found = json.loads(printed)
    assert len(found["lines"]) == 6
    assert all(set(line["rates"]) <= {0.01, 0.1} for line in found["lines"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["iris"], "iris has the labels 0, 1, 2: positive must be the one that is told from the others, or a pattern"),
        (
            ["iris", "wine"],
            "--recipe table1 takes one file, and no --methods, --epochs, --jobs, --quick, --extend, --out or --progress"
            ", not 2 of them",
        ),
        (["iris", "--epochs", "3"], "not --epochs"),
        (["iris", "--out", "t"], "not --out"),
        (["iris", "--jobs", "0"], "not --jobs"),
        (["iris", "--no-extend"], "not --extend"),
        (["iris", "--quick"], "not --quick"),
        (["iris", "--progress"], "not --progress"),
        (["breast_cancer", "--text", "words"], "text says what the features of a text are, of a .tsv file, but"),
        (["nowhere.svm"], "No such file"),
        (["breast_cancer", "--delta", "-1"], "delta must be finite and at least 0, not -1.0"),
    ],
)
def test_table1_refuses(capsys, arguments, message):
    assert main(["compare", *arguments, "--recipe", "table1"]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--delta", "1"], ["--text", "words"], ["--positive", "1"]])
def test_options_of_table1_are_refused_without_it(capsys, option):
    assert main(["compare", "rosenbrock", *option]) == 2
    assert f"{option[0]} is of --recipe table1" in capsys.readouterr().err


def test_methods_do_not_swallow_the_problem_without_a_word(capsys):
    assert main(["compare", "--methods", "adagrad", "sgd:momentum=0.5", "quadratic"]) == 2
    told = capsys.readouterr().err
    assert told == (
        "fastadagrad: PROBLEM is missing, and --methods has 'quadratic', which is no method: name problems before "
        "--methods\n"
    )
    assert main(["compare"]) == 2
    assert capsys.readouterr().err.startswith("fastadagrad: PROBLEM is missing: expected rosenbrock, ")


def test_methods_may_be_named_one_by_one(tmp_path, capsys):
    arguments = ["--methods", "sgd", "--methods", "adagrad", "--out", str(tmp_path), "--json"]
    assert main(["compare", "quadratic", *arguments, *QUICK]) == 0
    assert [*json.loads(capsys.readouterr().out)["plan"]["methods"]] == ["sgd", "adagrad"]


def test_names_are_listed(capsys):
    assert main(["compare", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    methods = lines.index("methods:")
    assert lines[0] == "problems:"
    assert {"  rosenbrock", "  digits-mlp"} <= {*lines[1:methods]}
    assert {f"  {name}" for name in METHODS} == {*lines[methods + 1 :]}


@pytest.mark.parametrize(("columns", "lacking"), [(200, []), (80, ["bytes", "us/step", "spread"]), (40, None)])
def test_the_table_fits_a_terminal(tmp_path, capsys, monkeypatch, columns, lacking):
    monkeypatch.setattr(screen, "width", lambda: columns)
    arguments = ["compare", "quadratic:10", "--methods", "sgd", "adagrad", "--out", str(tmp_path), *QUICK]
    assert main([*arguments, "--seeds", "2"]) == 0
    printed = capsys.readouterr().out
    assert printed.rpartition("\n\n")[2].startswith("report: ")
    sentence, table, *notes, _ = printed.split("\n\n")
    lines = table.splitlines()
    assert all(len(line) <= columns for part in (sentence, table, *notes[-1:]) for line in part.splitlines())
    assert sentence.startswith(("sgd ", "adagrad "))
    assert (lines[0], lines[1].split()[0]) == ("quadratic-10", "method")
    if lacking is not None:
        assert [name for name in ("bytes", "us/step", "spread") if name not in lines[1]] == lacking
    table = printed
    assert ("for want of room without: bytes, us/step" in table) == (lacking != [])


def test_a_single_seed_has_no_quartiles_and_a_single_shuffle_no_spread(tmp_path, capsys):
    assert main(["compare", "quadratic:10", "--methods", "adagrad", "--out", str(tmp_path), *QUICK]) == 0
    lines = capsys.readouterr().out.splitlines()
    row = lines[lines.index("quadratic-10") + 2].split()
    assert row[:3] == ["adagrad", row[1], "-"]
    assert main(["compare", "breast_cancer", "--recipe", "table1", "--seeds", "1", "--rates", "0.01:0.1:2"]) == 0
    printed, told = capsys.readouterr()
    assert "+-" not in printed
    assert "FB: 1 shuffle, the best rate" in told


def test_a_comparison_is_not_replaced_by_a_part_of_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    wide = ["compare", "quadratic:10", "rosenbrock", "--methods", "sgd", "adagrad", *QUICK]
    narrow = ["compare", "rosenbrock", "--methods", "sgd", *QUICK]
    assert main([*wide, "--out", "q1"]) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "q1").rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main([*narrow, "--out", "q1"]) == 2
    told = capsys.readouterr().err
    assert "q1 has results of 16 runs, 12 of which are not of this comparison and would be lost" in told
    assert {path: path.read_bytes() for path in (tmp_path / "q1").rglob("*") if path.is_file()} == before
    assert main([*wide, "--methods", "adam", "--out", "q1"]) == 0  # more of the same


def test_each_comparison_has_a_folder_if_none_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    wide = ["compare", "quadratic:10", "rosenbrock", "--methods", "sgd", *QUICK]
    narrow = ["compare", "rosenbrock", "--methods", "sgd", *QUICK]
    for arguments, folder in ((wide, "comparison"), (narrow, "comparison-2"), (wide, "comparison")):
        assert main(arguments) == 0
        assert capsys.readouterr().out.splitlines()[-1] == f"report: {folder}/report.html"
    assert {path.name for path in tmp_path.iterdir()} == {"comparison", "comparison-2"}
    results = json.loads((tmp_path / "comparison" / "results.json").read_text())
    assert {run["problem"] for run in results["runs"]} == {"quadratic-10", "rosenbrock"}
