"""The table for Benchopt: its columns, its numbers, and, where Benchopt is installed, what it makes of it."""

import numpy as np
import pytest

from fastadagrad.compare import Problem, Task, benchopt_table, compare
from fastadagrad.compare.material import Material

parquet = pytest.importorskip("pyarrow.parquet")

METHODS = ["sgd", "adagrad", "cocob"]
SEEDS, EPOCHS = 2, 3


def bowl(seed):
    def loss(w):
        return float(w @ (w * [1.0, 0.1])), 2 * w * [1.0, 0.1]

    start = np.random.default_rng(seed).standard_normal(2)
    return Task(params=start, loss=loss, updates=2, epochs=EPOCHS, score=lambda w: -float(w @ w))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    options = {"rates": [1e-3, 0.1, 1e9], "seeds": SEEDS, "jobs": 0, "report": False, "extend": False}
    found = compare(["quadratic:10", Problem("bowl", bowl)], METHODS, epochs=EPOCHS, out=folder, **options)
    path = folder / benchopt_table.NAME
    benchopt_table.write_benchopt(path, Material(found.plan, found.runs, found.lines), found.about)
    return found, path


def test_columns_are_benchopts(made):
    """The names, and the kinds, that Benchopt's own files have; what begins with objective_ is a measure."""
    _, path = made
    table = parquet.read_table(path)
    kinds = {field.name: str(field.type) for field in table.schema}
    assert (
        kinds.items()
        >= {
            "objective_name": "string",
            "solver_name": "string",
            "data_name": "string",
            "idx_rep": "int64",
            "stop_val": "int64",
            "time": "double",
            "objective_value": "double",
        }.items()
    )
    measures = {name for name in kinds if name.startswith("objective_")} - {"objective_name"}
    assert measures == {"objective_value", "objective_train_loss", "objective_score"}
    assert all(kinds[name] == "double" for name in measures)
    assert set(table["sampling_strategy"].to_pylist()) == {"Iteration"}


def test_rows_are_the_epochs_of_the_best_rates(made):
    found, path = made
    rows = parquet.read_table(path).to_pylist()
    assert len(rows) == 2 * len(METHODS) * SEEDS * (EPOCHS + 1)
    by_key = {(row["data_name"], row["solver_name"], row["idx_rep"], row["stop_val"]): row for row in rows}
    assert len(by_key) == len(rows)
    best = {(line.problem, line.method): line.rate for line in found.lines}
    for run in found.runs:
        problem, method, seed = run.cell.problem, run.cell.method, run.cell.seed
        if run.cell.rate != best[problem, method]:
            continue
        for epoch in range(EPOCHS + 1):
            row = by_key[problem, method, seed, epoch]
            assert row["objective_value"] == run.valid[epoch]
            assert row["objective_train_loss"] == run.train[epoch]
            assert row["objective_score"] == (run.scores[epoch] if run.scores else None)
            assert row["time"] == run.seconds[epoch]
            assert row["p_solver_learning_rate"] == run.cell.rate


def test_benchopt_reads_it(made):
    results = pytest.importorskip("benchopt.results", reason="Benchopt is not installed")
    from benchopt.plotting.default_plots import ObjectiveCurvePlot, TablePlot
    from benchopt.plotting.generate_html import get_sysinfo
    from benchopt.results.result_processing import describe_results, merge_results

    found, path = made
    frame = results.read_results(path)
    said = describe_results(frame)
    assert said["solvers"] == sorted(METHODS)
    assert said["datasets"] == ["bowl", "quadratic-10"]
    assert said["n_repetitions"] == SEEDS
    assert said["n_configs"] == 2 * len(METHODS)
    where = {"dataset": "bowl", "objective": benchopt_table.OBJECTIVE}
    for axis in ("Time", "Iteration"):
        curves = ObjectiveCurvePlot().plot(frame, objective_column="objective_value", X_axis=axis, **where)
        assert [curve["label"] for curve in curves] == sorted(METHODS)
    assert len(TablePlot().plot(frame, **where)) == len(METHODS)
    assert get_sysinfo(frame)["main"]["cpu"] == str(found.about["cores"])
    assert len(merge_results([path, path])) == len(frame)
