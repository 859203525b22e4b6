"""Whole comparisons."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from fastadagrad.compare import compare as run_comparison
from fastadagrad.compare import making

for extra in ("pyarrow", "matplotlib"):
    pytest.importorskip(extra)

OWN = "problems_of_mine.py"
SOURCE = """
import time
import numpy as np
from fastadagrad.compare import Task

SLEEP = 0.0

def bowl(seed):
    def loss(w):
        time.sleep(SLEEP)
        return float(w @ (w * [1.0, 0.1])), 2 * w * [1.0, 0.1]
    return Task(params=np.random.default_rng(seed).standard_normal(2), loss=loss, updates=2, epochs=3)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / OWN).write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "problems_of_mine:bowl"
    sys.modules.pop("problems_of_mine", None)


def compare(*args, **kwargs):
    return run_comparison(
        *args, **{"jobs": 0, "report": False, "rates": "0.01:1:3", "seeds": 2, "extend": False, **kwargs}
    )


def curves(found):
    return {run.cell: (run.valid, run.train) for run in found.runs}


def test_any_number_of_jobs_gives_the_same_bits(tmp_path, own):
    problems, methods = [own, "quadratic:100"], ["adagrad", "cocob"]
    here, there = (
        compare(problems, methods, out=tmp_path / str(jobs), jobs=jobs, epochs=2, rates=[0.1]) for jobs in (0, 2)
    )
    assert curves(here) == curves(there)
    assert len(here.runs) == 2 * 2 * 2
    for name in ("results.csv", "results.json", "results.parquet", "runs.jsonl", "plan.json", "costs.json"):
        assert (tmp_path / "2" / name).stat().st_size > 0


def test_the_budget_is_equal(tmp_path):
    found = compare("rosenbrock", ["sgd", "adam"], out=tmp_path, epochs=4)
    assert {len(run.valid) for run in found.runs} == {5}
    assert {run.steps_an_epoch for run in found.runs} == {10}
    assert [len({run.valid[0] for run in found.runs if run.cell.seed == seed}) for seed in (0, 1)] == [1, 1]


def test_only_what_is_missing_is_run(tmp_path, monkeypatch):
    ran = []
    real = making.run_here

    def counted(cells, problems, methods):
        cells = list(cells)
        ran.append(len(cells))
        return real(cells, problems, methods)

    monkeypatch.setattr(making, "run_here", counted)
    first = compare("quadratic:10", ["sgd", "adagrad"], out=tmp_path, epochs=2)
    again = compare("quadratic:10", ["sgd", "adagrad"], out=tmp_path, epochs=2)
    assert ran == [12]
    assert (again.runs, again.lines) == (first.runs, first.lines)  # times and costs too
    more = compare("quadratic:10", ["sgd", "adagrad", "adam"], out=tmp_path, epochs=2, seeds=3)
    assert ran == [12, 27 - 12]
    assert curves(more).items() >= curves(first).items()
    with pytest.raises(ValueError, match="27 runs, 27 of which are not of this comparison and would be lost"):
        compare("quadratic:10", ["sgd"], out=tmp_path, epochs=3, seeds=1)  # another budget
    assert ran == [12, 15]


class Killed(BaseException):
    pass


def test_killed_and_taken_up_it_has_the_same_bits(tmp_path, monkeypatch):
    whole = compare("factorisation", ["sgd", "adagrad"], out=tmp_path / "whole", epochs=2)
    real = making.run_here

    def killed(cells, problems, methods):
        for number, run in enumerate(real(cells, problems, methods)):
            if number == 7:
                raise Killed
            yield run

    monkeypatch.setattr(making, "run_here", killed)
    with pytest.raises(Killed):
        compare("factorisation", ["sgd", "adagrad"], out=tmp_path / "cut", epochs=2)
    journal = tmp_path / "cut" / "runs.jsonl"
    assert len(journal.read_bytes().splitlines()) == 7
    journal.write_bytes(journal.read_bytes()[:-11])
    monkeypatch.setattr(making, "run_here", real)
    assert curves(compare("factorisation", ["sgd", "adagrad"], out=tmp_path / "cut", epochs=2)) == curves(whole)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_ctrl_c_keeps_what_is_finished(tmp_path, own, name):
    (tmp_path / OWN).write_text(SOURCE.replace("SLEEP = 0.0", "SLEEP = 0.02"))
    options = ["--methods", "sgd", "--seeds", "50", "--jobs", "2", "--quiet"]
    command = [sys.executable, "-m", "fastadagrad", "compare", own, *options]
    journal = tmp_path / "comparison" / "runs.jsonl"
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            end = time.monotonic() + 300  # kernels may have to be compiled first, in several processes
            while time.monotonic() < end and not (journal.exists() and journal.read_bytes().count(b"\n") > 2):
                assert process.poll() is None, process.communicate()[1]
                time.sleep(0.05)
            if name == "SIGINT":
                os.killpg(process.pid, signal.SIGINT)  # as a terminal does
            else:
                process.terminate()
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == (130 if name == "SIGINT" else 143)
    finished = journal.read_bytes().count(b"\n")
    assert 2 < finished < 550
    assert f"{finished} of 550 runs are kept in comparison" in errors
    assert errors.count("\n") == 2
    assert "Traceback" not in errors


def test_results_in_json(tmp_path):
    found = compare("quadratic:10", ["sgd", "cocob"], out=tmp_path, epochs=2)
    stored = json.loads((tmp_path / "results.json").read_text())
    assert stored["about"]["numpy"] == np.__version__
    assert stored["about"]["date"]
    assert stored["plan"]["rates"] == [0.01, 0.1, 1.0]
    assert [record["method"] for record in stored["table"]] == ["sgd", "cocob"]
    assert len(stored["runs"]) == len(found.runs) == 8
    with open(tmp_path / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for run in stored["runs"]:
        own = [row for row in rows if row["method"] == run["method"] and int(row["seed"]) == run["seed"]]
        last = [
            row
            for row in own
            if row["epoch"] == "2" and (run["rate"] is None or float(row["learning_rate"]) == run["rate"])
        ]
        assert [float(row["valid_loss"]) for row in last] == [run["final_loss"]]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seeds": 0}, "seeds must be a whole number of at least 1, not 0"),
        ({"seeds": None}, "seeds must be a whole number of at least 1, not None"),
        ({"epochs": 1.5}, "epochs must be a whole number of at least 1, not 1.5"),
        ({"jobs": -1}, "jobs must be a whole number of at least 0, not -1"),
        ({"tau": 1}, "tau must be between 0 and 1, and neither, not 1"),
        ({"rates": "1:2"}, "rates must be LOW:HIGH:N"),
        ({"rates": 0.1}, "rates must be LOW:HIGH:N, as in 1e-4:10:11, or a sequence of numbers, not 0.1"),
        ({"rates": [0.1, "1"]}, "each of rates must be a number, not '1'"),
        ({"rates": [0.1, 0.1]}, "rates must be one number above 0, or several different ones, not"),
        ({"methods": []}, "methods: expected at least one"),
        ({"methods": 3}, "methods must be names such as 'adagrad' or 'sgd:momentum=0.9', or classes, not 3"),
        ({"out": 3}, "out must be the path of a folder, or None, not 3"),
        ({"problems": 3}, "problems must be names or fastadagrad.compare.Problem, not int"),
    ],
)
def test_arguments_that_make_no_sense(tmp_path, wrong, message):
    with pytest.raises((TypeError, ValueError), match=message):
        compare(**{"problems": "quadratic", "methods": ["sgd"], "out": tmp_path / "none", **wrong})
    assert not (tmp_path / "none").exists()


def test_a_folder_that_is_none(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError):
        compare("quadratic", ["sgd"], out=tmp_path / "file")
