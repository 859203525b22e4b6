"""The runs with the best rates as a table that Benchopt reads, plots, merges and publishes.

T. Moreau et al., "Benchopt: Reproducible, efficient and collaborative optimization benchmarks", NeurIPS 2022. A row is
an epoch of a run: `solver_name` is the method, `data_name` the problem (later versions rename it to `dataset_name` when
they read it), `idx_rep` the seed, `stop_val` the epoch, `time` the seconds of training, `objective_value` the
validation loss.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..support.outputs import replacing
from .material import Material
from .results import parquet
from .running import Run

NAME = "benchopt.parquet"
OBJECTIVE = "validation loss"
COLUMNS: dict[str, type] = {
    "objective_name": str,
    "obj_description": str,
    "solver_name": str,
    "solver_description": str,
    "data_name": str,
    "idx_rep": int,
    "sampling_strategy": str,
    "stop_val": int,
    "time": float,
    "objective_value": float,
    "objective_train_loss": float,
    "objective_score": float,
    "p_solver_learning_rate": float,
    "run_date": str,
    "platform": str,
    "platform-architecture": str,
    "platform-release": str,
    "system-cpus": int,
    "system-processor": str,
    "version-numpy": str,
    "version-fastadagrad": str,
}


def write_benchopt(path: Path, material: Material, about: Mapping[str, Any]) -> None:
    """Write the table as Parquet.

    Raises
    ------
    RuntimeError
        If pyarrow is not installed.
    """
    pyarrow, module = parquet()
    rows = [
        _row(about, run, epoch)
        for problem in material.plan.problems
        for _, runs in material.chosen(problem.name)
        for run in runs
        for epoch in range(len(run.valid))
    ]
    kinds = {float: pyarrow.float64(), int: pyarrow.int64(), str: pyarrow.string()}
    columns = {name: pyarrow.array([row[name] for row in rows], kinds[kind]) for name, kind in COLUMNS.items()}
    with replacing(path) as file:
        module.write_table(pyarrow.table(columns), file)


def _row(about: Mapping[str, Any], run: Run, epoch: int) -> dict[str, Any]:
    """An epoch of a run, by the names of COLUMNS."""
    cell = run.cell
    rate = (
        "with the learning rate that has the lowest final loss" if cell.rate is not None else "takes no learning rate"
    )
    return {
        "objective_name": OBJECTIVE,
        "obj_description": "loss of the samples to validate on, after each epoch",
        "solver_name": cell.method,
        "solver_description": rate,
        "data_name": cell.problem,
        "idx_rep": cell.seed,
        "sampling_strategy": "Iteration",
        "stop_val": epoch,
        "time": run.seconds[epoch],
        "objective_value": run.valid[epoch],
        "objective_train_loss": run.train[epoch],
        "objective_score": run.scores[epoch] if run.scores else None,
        "p_solver_learning_rate": cell.rate,
        "run_date": about.get("date"),
        "platform": platform.system(),
        "platform-architecture": platform.machine(),
        "platform-release": platform.release(),
        "system-cpus": about.get("cores"),
        "system-processor": about.get("processor"),
        "version-numpy": about.get("numpy"),
        "version-fastadagrad": about.get("fastadagrad"),
    }
