"""The verdict against numbers worked out by hand, and against SciPy."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("scipy")
from scipy import stats

from fastadagrad.compare.result_table import matrix_text
from fastadagrad.compare.summary import Line, Quartiles, quartiles
from fastadagrad.compare.verdict import (
    LEAST_GAP,
    QualityProfile,
    quality_profiles,
    ranks,
    verdict_of,
)

INF = math.inf


def line(problem, method, *gaps, rate=0.1, edge="", scores=(), failed=0, failed_seeds=()):
    """A line whose losses go from 11 at the start to 1 at best."""
    finals = tuple(1 + 10 * gap for gap in gaps)
    nothing = (INF,) * len(gaps)
    return Line(
        problem,
        method,
        rate is None,
        rate,
        Quartiles(*quartiles(finals)),
        nothing,
        nothing,
        (),
        None,
        False,
        0,
        3 * len(gaps),
        failed=failed,
        edge=edge,
        finals=finals,
        gaps=gaps,
        scores=scores,
        failed_seeds=failed_seeds,
    )


def test_a_matrix_and_its_standings():
    lines = [
        line("p", "sgd", 0.2, 0.3, 0.4),
        line("p", "adam", 0.0, 0.1, 0.0, scores=(0.9, 0.8, 0.7)),
        line("p", "cocob", 0.5, INF, INF, rate=None, failed=2),
        line("q", "sgd", 0.0, 0.0, 0.0, edge="high"),
        line("q", "adam", 1e-9, 0.0, 1e-7),
        line("q", "cocob", 0.5, 0.5, 0.7, rate=None),
    ]
    found = verdict_of(lines)
    assert found.problems == ("p", "q")
    assert found.methods == ("adam", "sgd", "cocob")
    assert [(s.wins, s.mean_rank) for s in found.standings] == [(2, 1.25), (1, 1.75), (0, 3.0)]
    assert found.standings[0].gap == pytest.approx(5e-10)  # of 0 and 1e-9
    assert {key: entry.rank for key, entry in found.entries.items()} == {
        ("p", "sgd"): 2,
        ("p", "adam"): 1,
        ("p", "cocob"): 3,
        ("q", "sgd"): 1,
        ("q", "adam"): 1,
        ("q", "cocob"): 3,
    }
    adam, cocob = found.entries["p", "adam"], found.entries["p", "cocob"]
    assert (adam.gap, adam.loss, adam.score, adam.leads) == (0.0, 1.0, 0.8, True)
    assert (cocob.gap, cocob.rate, cocob.failed, cocob.score) == (INF, None, 2, None)
    assert found.entries["q", "sgd"].edge == "high"
    sgd = found.paired[0]
    assert (sgd.method, sgd.better, sgd.worse, sgd.pairs) == ("sgd", 3, 0, 6)
    assert found.seeds == 3
    assert found.sentence == (
        "adam is best on 2 of 2 problems, shared ones included; its final loss is below that of sgd, the next, in 3 "
        f"of 6 pairs of problem and seed, which the seeds alone may explain (p = {sgd.p:.2g}); rates beyond the grid "
        "may do better for sgd."
    )


def test_the_test_over_pairs_is_scipys():
    rng = np.random.default_rng(0)
    mine, other = 10 ** rng.uniform(-5, -2, (2, 7, 4))
    other *= 8
    lines = [
        line(f"p{k}", name, *gaps[k])
        for k in range(7)
        for name, gaps in (("mine", mine), ("other", other), ("worst", 9 * other))
    ]
    found = verdict_of(lines)
    by_name = {each.method: each for each in found.paired}
    first = {"mine": mine, "other": other, "worst": 9 * other}
    assert found.methods[0] == "mine"
    assert "which the seeds alone hardly explain (p = " in found.sentence
    raw, raw_problems = [], []
    for name in ("other", "worst"):
        difference = np.log10(first[name]) - np.log10(mine)
        raw.append(stats.wilcoxon(difference.ravel()).pvalue)
        raw_problems.append(stats.wilcoxon(np.median(difference, axis=1)).pvalue)
        assert by_name[name].factor == pytest.approx(10 ** np.median(difference))
        assert by_name[name].low <= by_name[name].factor <= by_name[name].high
    low, high = sorted(raw)
    assert sorted(each.p for each in found.paired) == pytest.approx([2 * low, max(high, 2 * low)])
    low, high = sorted(raw_problems)
    assert sorted(each.p_problems for each in found.paired) == pytest.approx([2 * low, max(high, 2 * low)])


def test_too_few_pairs_are_not_tested():
    lines = [line("p", "a", 0.0, 0.1), line("p", "b", 0.2, 0.3)]
    found = verdict_of(lines)
    assert [(each.p, each.p_problems) for each in found.paired] == [(None, None)]
    assert found.sentence == (
        "a is best on p; its final loss is below that of b, the next, in 2 of 2 seeds, too few for a test, "
        "which takes 6."
    )


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([line("p", "a", 0.0)], "a alone was run: name more methods to compare it with."),
        ([line("p", "a", INF), line("p", "b", INF)], "No method has got to the end of its budget with a finite loss."),
        (
            [line("p", "a", 0.0), line("p", "b", LEAST_GAP / 2)],
            "a and b share the first place on p.",
        ),
        (
            [
                line(p, m, gap, edge=e)
                for p in "pq"
                for m, gap, e in (("a", 0.0, ""), ("b", 0.0, ""), ("c", 1.0, "low"))
            ],
            "a and b share the first place: each is best on 2 of 2 problems, shared ones included; rates beyond the "
            "grid may do better for c.",
        ),
    ],
)
def test_other_sentences(lines, sentence):
    assert verdict_of(lines).sentence == sentence


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_ranks_are_scipys(gaps):
    gaps = [round(gap, 3) for gap in gaps]  # so that whatever differs does so by more than rounding
    assert [rank for rank, _ in ranks(gaps)] == stats.rankdata(gaps, method="min").tolist()
    assert [mean for _, mean in ranks(gaps)] == stats.rankdata(gaps, method="average").tolist()


def test_quality_profiles():
    lines = [line("p", "a", 0.5, 0.1), line("q", "a", 0.0, INF), line("p", "b", 0.0, 0.0), line("q", "b", 1.0, 2.0)]
    found = quality_profiles(lines)
    assert found["a"] == QualityProfile((0.0, 0.1, 0.5, INF), 4)
    assert [found["a"].share(x) for x in (-1, 0, 0.1, 0.49, 0.5, 1e9)] == [0, 0.25, 0.5, 0.5, 0.75, 0.75]
    assert QualityProfile((), 0).share(1) == 0


def test_nobody_is_best_where_all_diverge():
    lines = [line("p", "sgd", INF), line("p", "adam", INF), line("q", "sgd", 0.1), line("q", "adam", 0.0)]
    found = verdict_of(lines)
    assert [(each.method, each.wins) for each in found.standings] == [("adam", 1), ("sgd", 0)]
    assert found.sentence.startswith("adam is best on 1 of 2 problems;")


def test_where_no_method_gets_below_the_start():
    """All gaps above the start are infinite then, and the losses are not."""
    lines = [replace(line("p", method, INF), final=Quartiles(2.0, 2.0, 2.0)) for method in ("sgd", "adam")]
    found = verdict_of(lines)
    assert found.sentence == "No method has got below the loss of the start."
    assert [each.leads for each in found.entries.values()] == [False, False]
    assert "above the start" in matrix_text(found)[1]
    assert verdict_of([line("p", "sgd", INF), line("p", "adam", INF)]).sentence.startswith(
        "No method has got to the end"
    )


def test_methods_are_compared_over_the_seeds_that_both_have():
    lines = [
        line("p", "a", 0.1, INF, 0.1, 0.1, failed_seeds=(1,)),
        line("p", "b", INF, 1e-6, 0.2, 0.05, failed_seeds=(0,)),
        line("p", "c", INF, INF, INF, INF, failed_seeds=(0, 1, 2, 3)),
    ]
    found = verdict_of(lines)
    a, b, c = (found.entries["p", name] for name in "abc")
    assert [each.gap for each in (a, b, c)] == [0.1, 0.05, INF]
    assert [(each.counted, each.seeds) for each in (a, b, c)] == [(3, 4), (3, 4), (0, 4)]
    assert (a.low, a.high) == (0.1, 0.1)
    assert (c.low, c.high) == (None, None)
    by_name = {each.method: each for each in found.paired}
    assert found.methods == ("b", "a", "c")
    assert (by_name["a"].pairs, by_name["a"].better, by_name["a"].worse) == (2, 1, 1)  # seeds 2 and 3
    assert by_name["a"].factor == pytest.approx(1.0)  # between 0.1 / 0.2 and 0.1 / 0.05
    assert (by_name["c"].pairs, by_name["c"].factor, by_name["c"].p) == (0, None, None)
    assert found.sentence == (
        "b is best on p; its final loss is below that of a, the next, in 1 of 2 seeds, too few for a test, which takes "
        "6; seeds whose runs failed are left out for a, b."
    )
    without = verdict_of([lines[1], lines[2]])
    assert without.sentence == (
        "b is best on p; there is no seed with a run of c, the next, that can be compared; seeds whose runs failed are "
        "left out for b."
    )


def test_a_single_seed_is_one():
    found = verdict_of([line("p", "a", 0.0), line("p", "b", 0.2)])
    assert " in 1 of 1 seed, too few for a test" in found.sentence
