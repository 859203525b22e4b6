"""Every method gets ahead on every problem that there is to compare them on."""

import pytest
from places import A9A

pytest.importorskip("sklearn")

from fastadagrad.compare import compare
from fastadagrad.compare.problems import NAMED
from fastadagrad.optimizer.methods import METHODS

LONG = {"digits-softmax", "digits-mlp", "text"}
# Where most rows of a table are seen a few times only, methods that begin with tiny steps, or draw what they have not
# seen to 0, have come less far by the end of the budget than the tenth that is asked of them elsewhere.
HARDLY = {("text", name) for name in ("adadelta", "dadapt_adagrad", "dog", "ftrl", "rda")}


@pytest.mark.parametrize(
    "problem",
    [
        *(pytest.param(name, marks=pytest.mark.slow if name in LONG else []) for name in NAMED),
        pytest.param(str(A9A), id="a9a", marks=pytest.mark.skipif(not A9A.exists(), reason=f"{A9A} is not there")),
    ],
)
def test_progress(problem, tmp_path):
    """At the best of a few learning rates, with the problem's own budget: a tenth of what the best method gains."""
    found = compare(problem, rates="0.001:1:4", seeds=1, jobs=0, out=tmp_path, report=False, extend=False)
    [start] = {run.valid[0] for run in found.runs}
    best = min(min(run.valid) for run in found.runs)
    assert {line.method.partition(":")[0] for line in found.lines} == set(METHODS)
    for line in found.lines:
        left = 1.0 if (problem, line.method) in HARDLY else 0.9
        assert line.final.median < best + left * (start - best), line.method
