"""Statistics against numbers worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastadagrad.compare.contenders import Contender
from fastadagrad.compare.grid import Cell, Plan, as_rates
from fastadagrad.compare.problem import Problem
from fastadagrad.compare.result_table import HEADINGS, as_records, cells_of, notes, ranked, text_table
from fastadagrad.compare.running import Run
from fastadagrad.compare.summary import (
    Bounds,
    bounds_of,
    epoch_of_target,
    good_range,
    profiles,
    quartiles,
    share_within,
    summarise,
)

INF = math.inf


def run(method, seed, rate, *valid, problem="p", seconds=1.0):
    cell = Cell(problem, "", method, seed, rate, len(valid) - 1)
    return Run(cell, 10, valid, valid, tuple(seconds * k for k in range(len(valid))))


def test_quartiles():
    assert quartiles([7.0]) == (7, 7, 7)
    assert quartiles([3.0, 1.0, 2.0]) == (1.5, 2, 2.5)
    assert quartiles([1.0, INF, 2.0, 3.0, INF]) == (2, 3, INF)
    assert quartiles([1.0, INF]) == (INF, INF, INF)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=9))
def test_quartiles_of_finite_numbers_are_numpys(values):
    np.testing.assert_allclose(quartiles(values), np.percentile(values, [25, 50, 75]), rtol=1e-12, atol=1e-9)


def test_bounds_and_target():
    runs = [run("a", 0, 1.0, 10.0, 4.0, 3.0), run("b", 0, 1.0, 10.0, 2.0, 5.0), run("a", 1, 1.0, 8.0, INF, INF)]
    bounds = bounds_of(runs)
    assert bounds == {0: Bounds(10, 2), 1: Bounds(8, 8)}
    assert [bounds[0].gap(loss) for loss in (10, 6, 2, INF)] == [1, 0.5, 0, INF]
    assert bounds[1].gap(8) == 0  # nothing was to be gained
    assert bounds[1].gap(9) == INF
    # 2 + tau * 8
    assert epoch_of_target(runs[0], bounds[0], 0.25) == 1
    assert epoch_of_target(runs[0], bounds[0], 0.125) == 2
    assert epoch_of_target(runs[0], bounds[0], 0.1) is None
    assert epoch_of_target(runs[1], bounds[0], 0.1) == 1


def test_good_range():
    assert good_range([0.0], 0, 0.1) == (0, 0)
    assert good_range([0.1, 0.0, 0.1, 0.2, 0.05], 1, 0.1) == (0, 2)  # not beyond the hole
    assert good_range([0.3, 0.2, INF], 1, 0.1) is None


def a_plan(*methods, rates=(0.1, 1.0, 10.0), seeds=3):
    return Plan((Problem("p", lambda seed: None),), tuple(Contender(m, m) for m in methods), rates, seeds, {"p": 2})


def several(method, rate, *finals):
    return [run(method, seed, rate, 11.0, final, final, seconds=0.5) for seed, final in enumerate(finals)]


def test_lines():
    runs = [
        *several("sgd", 0.1, 3.0, 3.0, 3.0),
        *several("sgd", 1.0, 1.0, 1.05, 1.5),
        *several("sgd", 10.0, 2.0, 1.0, INF),
        *several("adagrad", 0.1, 5.0, 5.0, 5.0),
        *several("adagrad", 1.0, 4.0, 6.0, 5.0),
        *several("adagrad", 10.0, INF, INF, INF),
        *several("cocob", None, 1.5, 1.0, 1.0),
    ]
    sgd, adagrad, cocob = summarise(a_plan("sgd", "adagrad", "cocob"), runs, {}, tau=0.01, good=0.1)
    # Seeds have their best at 1: gaps are (f - 1) / 10.
    assert (sgd.rate, sgd.final) == (1.0, (1.0, 1.05, 1.5))
    assert sgd.epochs_to_target == (1, 1, INF)  # 1 + 0.01 * 10 is 1.1
    assert sgd.seconds_to_target == (0.5, 0.5, INF)
    assert [r.gap for r in sgd.rates] == pytest.approx([0.2, 0.005, 0.1])
    assert (sgd.good, sgd.decades, sgd.open_ended) == ((1.0, 10.0), 1.0, True)
    assert (sgd.diverged, sgd.runs) == (1, 9)
    assert (adagrad.rate, adagrad.final.median) == (0.1, 5.0)  # the lower of two that are alike
    assert (adagrad.good, adagrad.decades, adagrad.open_ended) == (None, None, False)
    assert adagrad.epochs_to_target == (INF, INF, INF)
    assert (cocob.rate_free, cocob.rate, cocob.good) == (True, None, None)
    assert cocob.epochs_to_target == (INF, 1, 1)


def test_where_every_rate_diverges_no_best_one_is_at_an_end():
    runs = [*several("sgd", 0.1, INF, INF, 3.0), *several("sgd", 1.0, INF, INF, INF)]
    [line] = summarise(a_plan("sgd", rates=(0.1, 1.0)), runs, {})
    assert (line.loss, line.edge, cells_of(line)[1]) == (INF, "", "diverged")


def test_profiles():
    def line(method, problem, *epochs):
        [made] = summarise(a_plan(method, rates=(1.0,), seeds=1), [run(method, 0, 1.0, 2.0, 1.0, 1.0)], {})
        return type(made)(**{**vars(made), "problem": problem, "method": method, "epochs_to_target": epochs})

    lines = [
        line("sgd", "p", 2.0, 4.0, 0.0),
        line("adagrad", "p", 4.0, 4.0, 3.0),
        line("sgd", "q", INF, 5.0, INF),
        line("adagrad", "q", 3.0, 2.0, INF),
    ]
    found = profiles(lines, lambda x: x.epochs_to_target)
    # Of six pairs one is solved at the start, one by neither.
    assert found == {"sgd": ((1, 1, 2.5), 5), "adagrad": ((1, 1, 1, 2), 5)}
    ratios, pairs = found["sgd"]
    assert [share_within(ratios, pairs, r) for r in (1, 2.4, 2.5, 100)] == [0.4, 0.4, 0.6, 0.6]
    assert share_within((), 0, 2) == 0


def test_the_table():
    runs = [*several("sgd", 1.0, 1.0, 1.05, 1.5), *several("adagrad", 1.0, INF, INF, INF)]
    runs += several("cocob", None, 1.5, 1.0, 1.0)
    lines = summarise(a_plan("adagrad", "sgd", "cocob", rates=(1.0,)), runs, {})
    assert [line.method for line in ranked(lines)] == ["cocob", "sgd", "adagrad"]
    rows = {line.method: dict(zip(HEADINGS, cells_of(line), strict=True)) for line in lines}
    assert rows["sgd"]["final loss"] == "1.05"
    assert rows["sgd"]["spread of the final loss"] == "1 to 1.5"
    assert (rows["sgd"]["epochs to target"], rows["sgd"]["seconds to target"]) == ("1", "0.5")
    assert rows["sgd"]["good rates, decades"] == "1, at the end"
    assert rows["adagrad"]["final loss"] == "diverged"
    assert (rows["cocob"]["best rate"], rows["cocob"]["good rates, decades"]) == ("no rate", "needs no rate")
    shown = text_table(lines).splitlines()
    assert shown[0] == "p"
    assert [row.split()[0] for row in shown[1:]] == ["method", "cocob", "sgd", "adagrad"]
    records = as_records(lines)
    assert [record["diverged_runs"] for record in records] == [3, 0, 0]


def test_rates():
    assert as_rates("1e-4:10:11")[::2] == (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)
    assert as_rates("0.3:0.3:1") == (0.3,)
    assert as_rates([1, 0.1]) == (0.1, 1.0)
    for wrong in ("1", "a:b:c", "1:0.1:3", "0:1:3", "1:2:1", "1:1:2", "1:inf:3", "1:2:2.5", [], [0.0], [1, 1], [-1]):
        with pytest.raises(ValueError, match="rates must be"):
            as_rates(wrong)


def test_a_spread_that_is_not_finite_says_why():
    runs = several("sgd", 1.0, 1.0, 2.0, INF)
    [line] = summarise(a_plan("sgd", rates=(1.0,)), runs, {})
    assert dict(zip(HEADINGS, cells_of(line), strict=True))["spread of the final loss"] == "1 to diverged"


@pytest.mark.parametrize(("errors", "said"), [(1, "E0"), (2, "E0, and 1 other error"), (3, "E0, and 2 other errors")])
def test_numbers_of_errors(errors, said):
    runs = [replace(run("sgd", seed, 1.0, 2.0, INF), failed=f"E{seed}") for seed in range(errors)]
    plan = a_plan("sgd", rates=(1.0,), seeds=errors)
    assert notes(plan, summarise(plan, runs, {}))[-1].endswith(f"failed: {said}")


def test_a_median_is_over_the_seeds_whose_run_did_not_fail():
    runs = several("sgd", 1.0, 1.0, 3.0, INF)
    runs[2] = replace(runs[2], failed="KeyError")
    [line] = summarise(a_plan("sgd", rates=(1.0,)), runs, {})
    assert (line.final, line.loss) == ((1.0, 2.0, 3.0), 2.0)
    assert (line.counted, line.seeds, line.failed_seeds, line.rates[0].failed) == (2, 3, (2,), 1)
    assert cells_of(line)[1] == "2 (2 of 3 seeds)"
    assert "2 of 4 seeds, and the like" in " ".join(notes(a_plan("sgd", rates=(1.0,)), [line]))
    [row] = as_records([line])
    assert (row["best_rate"], row["failed_seeds"], row["final_loss"]["median"]) == (1.0, [2], 2.0)
    diverged = several("sgd", 1.0, 1.0, INF, INF)
    diverged[0] = replace(diverged[0], failed="KeyError")
    [line] = summarise(a_plan("sgd", rates=(1.0,)), diverged, {})
    [row] = as_records([line])
    assert (line.loss, row["best_rate"], cells_of(line)[1]) == (INF, None, "diverged")
