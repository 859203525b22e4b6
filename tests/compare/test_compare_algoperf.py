"""AlgoPerf's protocol: what is drawn, and scores worked out by hand."""

import json
import math

import numpy as np
import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("scipy")

from fastadagrad.compare.contenders import Contender
from fastadagrad.compare.grid import Cell
from fastadagrad.compare.problem import Problem
from fastadagrad.compare.running import Run
from fastadagrad.compare.studies import DrawnPlan, Timed, algoperf, scores_of, times_of

INF = math.inf
PLAN = DrawnPlan(
    (Problem("p", lambda seed: None), Problem("q", lambda seed: None)),
    (Contender("sgd", "sgd"), Contender("adagrad", "adagrad"), Contender("cocob", "cocob")),
    (0.01, 10.0),
    5,
    {"p": 3, "q": 3},
    {"p": 0.0, "q": 0.0},
)


def test_rates_are_drawn_for_each_study_and_are_the_same_for_all_methods():
    sgd, adagrad, cocob = PLAN.methods
    drawn = [PLAN.rates_in("p", sgd, seed) for seed in range(5)]
    assert drawn == [PLAN.rates_in("q", adagrad, seed) for seed in range(5)]
    assert all(len(rates) == 5 and 0.01 <= min(rates) < max(rates) <= 10 for rates in drawn)
    assert len({rate for rates in drawn for rate in rates}) == 25
    assert PLAN.rates_in("p", cocob, 0) == (None,)
    assert len([*PLAN.cells()]) == 2 * 5 * (5 + 5 + 1)
    assert len(PLAN.rates_of("p", sgd)) == 25
    many = DrawnPlan(**{**vars(PLAN), "trials": 4000}).rates_in("p", sgd, 0)
    assert np.quantile(np.log10(many), [0.25, 0.5, 0.75]) == pytest.approx([-1.25, -0.5, 0.25], abs=0.1)


def run(problem, method, seed, rate, epoch):
    """A run from 1 that gets to 0 in an epoch, at a second each; None: never."""
    valid = tuple(0.0 if epoch is not None and k >= epoch else 1.0 for k in range(4))
    return Run(Cell(problem, "", method, seed, rate, 3), 1, valid, valid, (0.0, 1.0, 2.0, 3.0))


def test_the_fastest_of_the_trials_counts_if_more_than_half_of_the_studies_get_there():
    runs = []
    for seed, epochs in enumerate([(3, 1), (2, None), (None, 2), (None, None), (None, None)]):
        runs += [run("p", "sgd", seed, rate, epoch) for rate, epoch in enumerate(epochs)]
        runs += [run("p", "adagrad", seed, 1.0, 1 if seed < 2 else None), run("p", "cocob", seed, None, 3)]
        runs += [run("q", "sgd", seed, 1.0, None), run("q", "adagrad", seed, 1.0, 1), run("q", "cocob", seed, None, 1)]
    times = times_of(PLAN, runs, 0.01)
    by = {(each.problem, each.method): each for each in times}
    assert by["p", "sgd"].epochs == by["p", "sgd"].seconds == (1, 2, 2, INF, INF)
    assert (by["p", "sgd"].reached, by["p", "sgd"].median_epochs) == (3, 2)
    assert (by["p", "adagrad"].reached, by["p", "adagrad"].median_epochs) == (2, INF)
    assert by["p", "cocob"].median_seconds == 3
    scores = scores_of(times, "median_epochs")
    # On p sgd is the fastest, cocob takes 1.5 times as long; on q adagrad and cocob are.
    assert scores == pytest.approx({"sgd": 1 / 2, "adagrad": 1 / 2, "cocob": ((4 - 1.5) / 3 + 1) / 2})


def test_the_score_is_the_area_under_the_profile():
    rng = np.random.default_rng(0)
    times = [Timed(f"p{k}", m, (float(rng.uniform(1, 9)),), (1.0,)) for k in range(6) for m in "abc"]
    factors = np.linspace(1, 4, 30_001)
    best = {f"p{k}": min(t.epochs[0] for t in times if t.problem == f"p{k}") for k in range(6)}
    for method, score in scores_of(times, "median_epochs").items():
        ratios = np.array([t.epochs[0] / best[t.problem] for t in times if t.method == method])
        profile = (ratios[:, None] <= factors).mean(axis=0)
        assert score == pytest.approx(np.trapezoid(profile, factors) / 3, abs=1e-3)


def test_nothing_at_once_is_no_division_by_zero():
    times = [Timed("p", "a", (0.0,), (0.0,)), Timed("p", "b", (1.0,), (1.0,)), Timed("q", "a", (INF,), (INF,))]
    assert scores_of(times, "median_epochs") == {"a": 0.5, "b": 0.0}


def test_the_whole_protocol(tmp_path):
    given = {"rates": "0.01:1:2", "studies": 3, "trials": 2, "jobs": 0, "out": tmp_path, "epochs": 5}
    found = algoperf(["quadratic:10", "rosenbrock"], ["sgd", "adagrad", "cocob"], **given)
    assert len(found.runs) == 2 * 3 * (2 + 2 + 1)
    assert {*found.by_epochs} == {"sgd", "adagrad", "cocob"}
    assert all(0 <= score <= 1 for score in (*found.by_epochs.values(), *found.by_seconds.values()))
    text = str(found)
    assert text.splitlines()[0].split() == [
        "method",
        "score",
        "by",
        "epochs",
        "by",
        "seconds",
        "quadratic-10",
        "rosenbrock",
    ]
    assert "fastest of 2 trials, median of 3 studies" in text
    one = algoperf("quadratic:10", "sgd", rates="0.1:1:2", studies=1, trials=1, jobs=0, out=tmp_path / "one", epochs=1)
    assert "of the fastest of 1 trial, in the one study; in brackets" in str(one)
    stored = json.loads((tmp_path / "results.json").read_text())
    assert stored["plan"]["protocol"] == "algoperf"
    assert len(stored["runs"]) == 30
    again = algoperf(["quadratic:10", "rosenbrock"], ["sgd", "adagrad", "cocob"], **given)
    assert again.runs == found.runs
    with pytest.raises(ValueError, match="trials must be a whole number of at least 1, not 0"):
        algoperf("rosenbrock", **{**given, "trials": 0})
    with pytest.raises(ValueError, match="tau must be between 0 and 1"):
        algoperf("rosenbrock", **given, tau=0)
