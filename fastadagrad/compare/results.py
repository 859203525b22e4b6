"""The files in the folder of a comparison: its journal of runs, and tables that are made from the journal."""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..support import strict_json
from ..support.contents import DAMAGE
from ..support.extras import needed
from ..support.outputs import make_folder, naming, replacing
from ..version import __version__
from .grid import Cell, Plan
from .journal import Journal
from .running import Run

JOURNAL, PLAN, COSTS, RESULTS = "runs.jsonl", "plan.json", "costs.json", "results.json"
COLUMNS = (
    "problem",
    "method",
    "seed",
    "learning_rate",
    "epoch",
    "steps",
    "seconds",
    "train_loss",
    "valid_loss",
    "valid_score",
)


def machine() -> dict[str, Any]:
    """Versions and hardware, on which times and the last digits of losses depend."""
    return {
        "fastadagrad": __version__,
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "numba": version("numba"),
        "system": platform.system(),
        "processor": _processor(),
        "cores": os.cpu_count(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        found = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        found = ""
    return f"{found or platform.processor() or 'unknown'} ({platform.machine()})"


def write_json(path: Path, value: Any) -> None:
    """Replace a file as a whole."""
    with replacing(path) as file:
        file.write(f"{strict_json.dumps(value, indent=1)}\n".encode())


def read_json(path: Path) -> Any:
    """Contents of a file that `write_json` wrote; None if there is no file, ValueError if it is damaged."""
    try:
        with naming(path), open(path, "rb") as file:
            return json.loads(file.read())
    except FileNotFoundError:
        return None
    except (RecursionError, ValueError) as error:
        raise ValueError(f"{path} is damaged: {error}; delete it, or choose another folder") from None


def others_in(folder: Path, plan: Plan) -> int:
    """Count the runs in a folder that are not of the plan; a problem stays the same when its file has changed."""
    return len({_named(cell) for cell in Journal(folder / JOURNAL).read()} - {*map(_named, plan.possible_cells())})


def _named(cell: Cell) -> Cell:
    return cell._replace(identity="")


def _refuse_to_replace(folder: Path, plan: Plan) -> None:
    """Raise ValueError if the tables and the report of a folder show runs that the plan does not have."""
    try:
        shown = read_json(folder / RESULTS) or {"runs": []}
        runs = {_named(Cell(*(run[name] for name in Cell._fields))) for run in shown["runs"]}
    except NotADirectoryError:  # `make_folder` tells of it
        return
    except OSError:  # which is no damage, though readers of damaged files may raise it
        raise
    except DAMAGE:  # a damaged file shows no runs that could be lost
        return
    lost = len(runs - {*map(_named, plan.possible_cells())})
    if lost:
        raise ValueError(
            f"{folder} has results of {len(runs)} runs, {lost} of which are not of this comparison and would be lost "
            "from its tables and its report: choose another folder, or delete it"
        )


def open_folder(folder: Path, plan: Plan) -> tuple[Journal, dict[Cell, Run]]:
    """The journal of a folder, and those of the plan's runs that it has, without those that failed.

    These include runs with rates by which the plan may be extended. All runs in a folder must be made by the same
    versions on the same machine, and the plan must have all runs that the tables and the report in the folder show.
    """
    _refuse_to_replace(folder, plan)
    make_folder(folder)
    here, stored = machine(), read_json(folder / PLAN)
    there = stored.get("machine") if isinstance(stored, dict) else None
    there = there if isinstance(there, dict) else {}
    if stored is not None and there != here:
        changed = [k for k, v in here.items() if there.get(k) != v]
        was = ", ".join(f"{k} {there.get(k)} there, {here[k]} here" for k in changed)
        raise ValueError(f"{folder} has runs made otherwise ({was}): choose another folder, or delete it")
    journal = Journal(folder / JOURNAL)
    found = journal.read()
    if found and stored is None:
        raise ValueError(
            f"{folder / JOURNAL} has runs, but there is no {PLAN} that says of what: choose another folder"
        )
    write_json(folder / PLAN, {"machine": here, "plan": plan.described()})
    wanted = set(plan.possible_cells())
    return journal, {cell: run for cell, run in found.items() if cell in wanted and not run.failed}


def tidy(runs: Iterable[Run]) -> Iterator[tuple[Any, ...]]:
    """A row for each epoch of each run, in the order of COLUMNS; losses of diverged and failed runs are infinite."""
    for run in runs:
        cell = run.cell
        scores = run.scores or [None] * len(run.valid)
        for epoch, values in enumerate(zip(run.seconds, run.train, run.valid, scores, strict=True)):
            yield (cell.problem, cell.method, cell.seed, cell.rate, epoch, epoch * run.steps_an_epoch, *values)


def made_by(**settings: Any) -> dict[str, Any]:
    """Versions, machine, date and command, and the settings that results depend on."""
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return {**machine(), "date": date, "command": command_line(), **settings}


def write_results(folder: Path, runs: Sequence[Run], contents: Mapping[str, Any]) -> None:
    """Write the runs as CSV and as Parquet, and what `as_json` makes of all results as JSON."""
    write_csv(folder / "results.csv", runs)
    write_parquet(folder / "results.parquet", runs)
    write_json(folder / RESULTS, contents)


def run_records(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """Runs in types that JSON has, a record each."""
    return [
        {
            **run.cell._asdict(),
            "final_loss": run.final,
            "best_loss": min(run.valid),
            "seconds": run.seconds[-1],
            "steps": run.steps_an_epoch * run.cell.epochs,
            "diverged": None if run.failed else run.diverged,
            "failed": run.failed or None,
            "final_score": run.scores[-1] if run.scores else None,
        }
        for run in runs
    ]


def write_csv(path: Path, runs: Iterable[Run]) -> None:
    """Write the runs as CSV (RFC 4180).

    The learning rate is empty for a method without one, and the score for a problem without one.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(tidy(runs))
    with replacing(path) as file:
        file.write(text.getvalue().encode())


def parquet() -> tuple[Any, Any]:
    """Pyarrow and its module for Parquet; RuntimeError without it."""
    return needed("pyarrow", "Parquet"), needed("pyarrow.parquet", "Parquet")


def write_parquet(path: Path, runs: Iterable[Run]) -> None:
    """Write the runs as Parquet, the same table as in `write_csv`."""
    pyarrow, module = parquet()
    kinds = (
        pyarrow.string(),
        pyarrow.string(),
        pyarrow.int32(),
        pyarrow.float64(),
        pyarrow.int32(),
        pyarrow.int64(),
        *[pyarrow.float64()] * 4,
    )
    columns = zip(*tidy(runs), strict=True)
    arrays = [pyarrow.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
    with replacing(path) as file:
        module.write_table(pyarrow.table(arrays, names=COLUMNS), file)


def command_line() -> list[str]:
    """The command line of this process, with the program's name without its folder; of ``python -m``, the package's."""
    if not (sys.argv and sys.argv[0]):
        return []
    program = Path(sys.argv[0])
    return [program.parent.name if program.name == "__main__.py" else program.name, *sys.argv[1:]]
