"""Runs that raise, and grids that are extended."""

import json
import logging
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("scipy")

from fastadagrad.compare import Problem, Task, compare
from fastadagrad.compare.comparison import make_plan
from fastadagrad.compare.contenders import contender_named
from fastadagrad.compare.grid import MOST_ADDED, Cell, Plan
from fastadagrad.compare.making import make_runs
from fastadagrad.compare.running import Run, told
from fastadagrad.compare.summary import best_rate, edge_of, summarise
from fastadagrad.compare.verdict import verdict_of

INF = math.inf


def bowl(error, seeds=(), above=INF):
    """A bowl whose loss raises for some seeds once a parameter is moved, or once it is beyond a size."""

    def make(seed):
        start = np.random.default_rng(seed).standard_normal(3)

        def loss(w):
            if (seed in seeds and not np.array_equal(w, start)) or abs(w).max() > above:
                raise error
            return float(w @ w), 2 * w

        return Task(params=start.copy(), loss=loss, updates=3, epochs=4, best=0.0)

    return make


def compared(make, tmp_path, methods=("sgd", "adagrad", "cocob"), **more):
    given = {"rates": "0.01:1:3", "seeds": 4, "jobs": 0, "report": False, "extend": False, **more}
    return compare(Problem("bowl", make, convex=True), methods, out=tmp_path / "out", **given)


@pytest.mark.parametrize("report", [False, True])
def test_a_problem_that_raises_in_half_of_its_runs_gives_a_full_table(tmp_path, caplog, report):
    if report:
        pytest.importorskip("matplotlib")
    with caplog.at_level(logging.WARNING, "fastadagrad"):
        found = compared(bowl(KeyError("no such word"), seeds=(1, 3)), tmp_path, report=report)
    assert len(found.runs) == 4 * 7
    for run in found.runs:
        fails = run.cell.seed in (1, 3)
        assert run.failed == ("KeyError: 'no such word'" if fails else "")
        assert math.isfinite(run.valid[0])
        assert (run.valid[1:] == (INF,) * 4) == fails
    assert [(line.failed, line.diverged, line.runs) for line in found.lines] == [(6, 0, 12), (6, 0, 12), (2, 0, 4)]
    assert all(line.failures == ("KeyError: 'no such word'",) for line in found.lines)
    text = str(found)
    assert all(method in text for method in ("sgd", "adagrad", "cocob"))
    assert "6 failed of 12" in text
    for line in found.lines:
        assert math.isfinite(line.loss)
        assert (line.seeds, line.counted, line.failed_seeds) == (4, 2, (1, 3))
        finals = [run.final for run in found.runs if run.cell[2:5:2] == (line.method, line.rate) and not run.failed]
        assert len(finals) == 2
        assert line.loss == np.median(finals)
        assert f"{line.loss:.4g} (2 of 4 seeds)" in text
        assert all(math.isfinite(rated.gap) and rated.failed == 2 for rated in line.rates)
        entry = found.verdict.entries["bowl", line.method]
        assert (entry.counted, entry.seeds) == (2, 4)
        assert math.isfinite(entry.gap)
    first, second, _ = found.verdict.methods
    assert found.verdict.sentence.startswith(f"{first} is best on bowl; its final loss is below that of {second}, ")
    assert " in 2 of 2 seeds, too few for a test" in found.verdict.sentence
    assert "; seeds whose runs failed are left out for sgd, adagrad, cocob" in found.verdict.sentence
    assert {(each.pairs, each.better) for each in found.verdict.paired} == {(2, 2)}
    assert "bowl by sgd: 6 of 12 runs failed: KeyError: 'no such word'" in text
    [record] = caplog.records
    assert "14 of 28 runs failed" in record.message
    assert "bowl by sgd, learning rate 0.01, seed 1: KeyError: 'no such word'" in record.message
    stored = json.loads((tmp_path / "out" / "results.json").read_text())
    assert sum(run["failed"] is not None for run in stored["runs"]) == 14
    for line, row in zip(found.lines, stored["table"], strict=True):
        assert (row["best_rate"], row["final_loss"]["median"]) == (line.rate, line.loss)
        assert (row["seeds"], row["failed_seeds"]) == (4, [1, 3])
    assert {(entry["counted"], entry["seeds"]) for entry in stored["verdict"]["matrix"]} == {(2, 4)}
    assert stored["plan"]["rates_added"] == []
    if report:
        page = (tmp_path / "out" / "report.html").read_text()
        assert page.count("(2 of 4 seeds)") == 3
        assert ", 2 of 4 seeds</small>" in page
        assert "the fewest failed runs" in page


@pytest.mark.parametrize("seeds", [(1, 3), (0,), (1, 2, 3)])
def test_failures_extend_no_grid(tmp_path, seeds):
    """Whichever seeds fail, in all of their runs: the best rate is that of the others, and no rate is added."""

    def make(seed):
        def loss(w):
            if failing and seed in seeds:
                raise RuntimeError("no such word")
            return float(w @ w), 2 * w

        return Task(params=np.ones(3) * (seed + 1), loss=loss, updates=10, epochs=6)

    failing = False
    grid = {"rates": "1e-3:10:5", "extend": True, "methods": ["sgd", "adagrad"]}
    healthy = compared(make, tmp_path / "healthy", **grid)
    problem = Problem("bowl", make, convex=True)
    plan = make_plan(problem, ["sgd", "adagrad"], "1e-3:10:5", 4, None, True)
    failing = True
    (tmp_path / "failing").mkdir()
    plan, runs = make_runs(tmp_path / "failing", plan, 0, False)
    assert plan.added == healthy.plan.added == {}
    found = summarise(plan, runs, {})
    for line, other in zip(found, healthy.lines, strict=True):
        assert math.isfinite(line.loss)
        assert line.failed_seeds == seeds
        assert line.edge == other.edge
        medians = {
            rate: np.median([run.final for run in runs if run.cell[2:5:2] == (line.method, rate) and not run.failed])
            for rate in plan.rates
        }
        assert line.rate == min(medians, key=medians.__getitem__)
    assert "finite loss" not in verdict_of(found).sentence


@pytest.mark.parametrize("error", [OverflowError("too large"), np.linalg.LinAlgError("singular"), ZeroDivisionError()])
def test_errors_of_arithmetic_are_divergence(tmp_path, error):
    found = compared(bowl(error, seeds=(0,)), tmp_path, methods=["sgd"])
    assert {(run.failed, run.diverged) for run in found.runs} == {("", None), ("", 1)}
    assert [(line.diverged, line.failed) for line in found.lines] == [(3, 0)]


def test_a_loss_that_refuses_large_parameters_spares_small_rates(tmp_path):
    found = compared(bowl(ValueError("math domain error"), above=5.0), tmp_path, ["sgd"], rates=[0.1, 100.0])
    [line] = found.lines
    assert (line.rate, line.failed, line.edge) == (0.1, 4, "low")
    assert math.isfinite(line.final.median)


def test_failed_runs_are_made_again_by_the_same_call(tmp_path):
    first = compared(bowl(OSError("disk"), seeds=(1,)), tmp_path)
    assert sum(bool(run.failed) for run in first.runs) == 7
    journal = tmp_path / "out" / "runs.jsonl"
    lines = len(journal.read_text().splitlines())
    again = compared(bowl(OSError("disk"), seeds=()), tmp_path)
    assert not any(run.failed for run in again.runs)
    assert len(journal.read_text().splitlines()) == lines + 7
    for old, new in zip(first.runs, again.runs, strict=True):
        assert old.failed or old == new
    third = compared(bowl(OSError("disk"), seeds=()), tmp_path)
    assert third.runs == again.runs
    assert len(journal.read_text().splitlines()) == lines + 7


def test_where_all_runs_fail_there_is_a_table_too(tmp_path):
    found = compared(bowl(KeyError("x"), seeds=range(4)), tmp_path, extend=True)
    assert len(found.runs) == 28  # no rates are added for want of a run that works
    assert {line.failed for line in found.lines} == {12, 4}
    assert found.verdict.sentence == "No method has got to the end of its budget with a finite loss."
    assert "failed" in str(found)


def test_an_error_is_told_in_one_line():
    assert told(ValueError("a\n  b")) == "ValueError: a b"
    assert len(told(ValueError("x" * 999))) == 300


def run(rate, *finals, start=10.0):
    return [
        Run(Cell("p", "", "m", seed, rate, 1), 1, (start, f), (start, f), (0.0, 1.0)) for seed, f in enumerate(finals)
    ]


def runs(**finals):
    return [one for rate, several in finals.items() for one in run(float(rate[1:]), *several)]


def test_where_the_best_rate_is():
    assert edge_of(runs(r1=(3, 3), r2=(1, 1), r3=(2, 2))) == ""
    assert edge_of(runs(r1=(1, 1), r2=(2, 2), r3=(3, 3))) == "low"
    assert edge_of(runs(r1=(3, 3), r2=(2, 2), r3=(1, 1))) == "high"
    assert edge_of(runs(r1=(3, 3), r2=(1 + 5e-6, 1 + 5e-6), r3=(1, 1))) == ""  # the same but for rounding
    assert edge_of(runs(r1=(INF, INF), r2=(INF, INF))) == "low"
    assert edge_of(runs(r1=(1, 1))) == ""


NAN = math.nan  # of a run that failed, below


def test_runs_that_failed_make_no_rate_the_best_nor_an_end():
    def found(**finals):
        several = [
            replace(one, failed="KeyError", valid=(10.0, INF)) if math.isnan(one.final) else one
            for one in runs(**finals)
        ]
        return best_rate(several)[1], edge_of(several)

    assert found(r1=(3, NAN), r2=(1, NAN), r3=(2, NAN)) == (1, "")
    assert found(r1=(INF, NAN), r2=(1, NAN), r3=(INF, NAN)) == (1, "")
    assert found(r1=(INF, NAN), r2=(INF, NAN)) == (0, "low")  # both diverged: lower rates may not
    assert found(r1=(NAN, NAN), r2=(NAN, NAN)) == (0, "")
    assert found(r1=(5, 5), r2=(1, NAN)) == (0, "")  # r2 does better on the seed that both have
    assert found(r1=(5, 5), r2=(9, NAN)) == (0, "low")
    assert found(r1=(5, 5), r2=(NAN, NAN), r3=(1, NAN)) == (0, "")
    assert found(r1=(1, NAN), r2=(2, 2), r3=(3, 3)) == (1, "")
    assert found(r1=(3, 3), r2=(2, 2), r3=(NAN, NAN)) == (1, "")


def test_the_grid_goes_on_in_its_own_steps():
    methods = contender_named("sgd"), contender_named("cocob")
    plan = Plan((Problem("p", lambda seed: None),), methods, (0.1, 1.0, 5.0), 1, {"p": 1}, extends=True)
    low, high = plan.beyond
    assert low == (0.01, 0.001, 0.0001, 1e-5, 1e-6, 1e-7)
    assert high == (25.0, 125.0, 625.0, 3125.0, 15625.0, 78125.0)
    wider = plan.wider({("p", "sgd"): "high", ("p", "cocob"): ""})
    assert wider.rates_of("p", methods[0]) == (0.1, 1.0, 5.0, 25.0)
    assert wider.rates_of("p", methods[1]) == (None,)
    assert plan.wider({("p", "sgd"): ""}) is plan
    for _ in range(MOST_ADDED):
        plan = plan.wider({("p", "sgd"): "low"})
    assert plan.wider({("p", "sgd"): "low"}) is plan
    assert {*plan.cells()} <= {*plan.possible_cells()}


def test_grids_are_extended_until_the_best_rate_is_inside(tmp_path):
    more = {"rates": "0.001:0.01:3", "seeds": 2}
    narrow = compared(bowl(KeyError()), tmp_path, extend=False, **more)
    assert [line.edge for line in narrow.lines] == ["high", "high", ""]
    assert "0.01!" in str(narrow)
    wide = compared(bowl(KeyError()), tmp_path, extend=True, **more)
    for line in wide.lines[:2]:
        assert line.edge == ""
        assert line.rate > 0.01
        assert len(line.rates) > 3
    assert {*narrow.runs} <= {*wide.runs}
    assert wide.plan.described()["rates_added"][0]["method"] == "sgd"
    again = compared(bowl(KeyError()), tmp_path, extend=True, **more)
    assert (again.runs, again.plan.added) == (wide.runs, wide.plan.added)
    alone = compare(
        Problem("bowl", bowl(KeyError()), convex=True),
        ["adagrad"],
        out=tmp_path / "alone",
        jobs=0,
        report=False,
        **more,
    )
    both = [one for one in wide.runs if one.cell.method == "adagrad"]
    assert [(one.cell, one.valid) for one in alone.runs] == [(one.cell, one.valid) for one in both]


SOURCE = """
import time
import numpy as np
from fastadagrad.compare import Task

def slow(seed):
    start = np.random.default_rng(seed).standard_normal(2)
    def loss(w):
        time.sleep(0.004)
        if seed == 1 and abs(w - start).max() > 0:
            raise ValueError("too far")
        return float(w @ (w * [1.0, 0.1])), 2 * w * [1.0, 0.1]
    return Task(params=start.copy(), loss=loss, updates=3, epochs=4)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_killed_ten_times_and_taken_up_it_is_the_same(tmp_path):
    """By SIGKILL, at random times, its processes too; grids are extended, and some runs fail, as they would have."""
    (tmp_path / "slow_bowls.py").write_text(SOURCE)
    options = ["--methods", "sgd", "adagrad", "cocob", "--seeds", "3", "--rates", "0.001:0.1:5", "--jobs", "2"]
    command = [sys.executable, "-m", "fastadagrad", "compare", "slow_bowls:slow", *options, "--quiet", "--out"]

    def results(folder):
        found = json.loads((tmp_path / folder / "results.json").read_text())
        timed = ("seconds",)
        rows = [{key: value for key, value in row.items() if key not in timed} for row in found["runs"]]
        return rows, found["plan"], found["verdict"]

    subprocess.run([*command, "whole"], cwd=tmp_path, check=True, capture_output=True)
    journal, kills, drawn = tmp_path / "cut" / "runs.jsonl", 0, np.random.default_rng(0)
    while kills < 10:
        before = journal.read_bytes().count(b"\n") if journal.exists() else 0
        with subprocess.Popen(
            [*command, "cut"], cwd=tmp_path, stderr=subprocess.PIPE, start_new_session=True
        ) as process:
            wanted, end = before + int(drawn.integers(1, 4)), time.monotonic() + 120
            while time.monotonic() < end and not (journal.exists() and journal.read_bytes().count(b"\n") >= wanted):
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.01)
            os.killpg(process.pid, signal.SIGKILL)
            kills += 1
    assert not (tmp_path / "cut" / "results.json").exists()
    subprocess.run([*command, "cut"], cwd=tmp_path, check=True, capture_output=True)
    assert results("cut") == results("whole")
    assert any(row["failed"] for row in results("cut")[0])
    assert results("cut")[1]["rates_added"]
