"""Streams beside examples in memory and Vowpal Wabbit: seconds and resident memory of whole commands.

    python bench/streams.py make FOLDER --gigabytes 0.5
    python bench/streams.py race FOLDER --turns 3

`make` writes examples.svm and examples.parquet of this size, and examples.vw, the examples of the first in Vowpal
Wabbit's format. `race` trains once over each, in turns, and prints the medians: `fit --stream`, `fit --no-stream` and
``python -m vowpalwabbit``, which needs vowpalwabbit. Memory is the most that a process ever had resident.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

FEATURES, A_ROW = 1 << 17, 40  # of svmlight text
COLUMNS = 40  # of Parquet
ROWS = 50_000  # made together


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make")
    make.add_argument("folder", type=Path)
    make.add_argument("--gigabytes", type=float, default=0.5)
    make.add_argument("--only", choices=("svm", "parquet"), help="make one of the files")
    race = commands.add_parser("race")
    race.add_argument("folder", type=Path)
    race.add_argument("--turns", type=int, default=3)
    race.add_argument("--epochs", type=int, default=1)
    race.add_argument("--without", nargs="*", default=[], help="contenders to leave out, by their names in the table")
    return parser


def make_svmlight(folder: Path, size: int) -> None:
    """Sparse rows: columns by a power law, values of four digits, labels by a sparse weight vector and noise."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rng = np.random.default_rng(0)
    weights = rng.standard_normal(FEATURES) * (rng.random(FEATURES) < 0.1)
    places = pa.array(np.arange(0, ROWS * A_ROW + 1, A_ROW, dtype=np.int32))
    with open(folder / "examples.svm", "wb") as svm, open(folder / "examples.vw", "wb") as vw:
        while svm.tell() < size:
            columns = np.sort((FEATURES ** rng.random((ROWS, A_ROW))).astype(np.int64), axis=1)
            columns += np.arange(A_ROW)  # so that none is repeated in a row
            values = rng.integers(1, 10_000, (ROWS, A_ROW))
            scores = (weights[columns % FEATURES] * values / 10_000).sum(axis=1) + 0.1 * rng.standard_normal(ROWS)
            digits = pc.utf8_lpad(pa.array(values.ravel()).cast(pa.string()), 4, "0")
            words = pc.binary_join_element_wise(pa.array(columns.ravel()).cast(pa.string()), digits, ":0.")
            rows = pc.binary_join(pa.ListArray.from_arrays(places, words), " ")
            labels = pa.array(np.where(scores > 0, "1", "-1"))
            for file, between in ((svm, " "), (vw, " | ")):
                lines = pc.binary_join_element_wise(labels, rows, between)
                file.write("\n".join(lines.to_pylist()).encode() + b"\n")


def make_parquet(folder: Path, size: int) -> None:
    """Dense rows of float32, which do not compress, in row groups of 131,072 rows, with a label of 0 or 1."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    weights = rng.standard_normal(COLUMNS)
    names = [f"x{j}" for j in range(COLUMNS)]
    schema = pa.schema([*((name, pa.float32()) for name in names), ("y", pa.int8())])
    path = folder / "examples.parquet"
    with pq.ParquetWriter(path, schema, use_dictionary=False) as writer:
        while path.stat().st_size < size:
            X = rng.standard_normal((1 << 17, COLUMNS), np.float32)
            y = (X @ weights + rng.standard_normal(len(X)) > 0).astype(np.int8)
            writer.write_table(pa.table([*X.T, y], schema=schema), row_group_size=len(X))


def contenders(folder: Path, epochs: int) -> dict[str, list[str]]:
    python = sys.executable
    fit = [python, "-m", "fastadagrad", "fit"]
    options = ["--epochs", str(epochs), "--quiet"]
    svm, parquet = str(folder / "examples.svm"), str(folder / "examples.parquet")
    return {
        "svmlight streamed": [*fit, svm, "--stream", *options],
        "svmlight in memory": [*fit, svm, "--no-stream", *options],
        "svmlight Vowpal Wabbit": [
            *(python, "-m", "vowpalwabbit", "-d", str(folder / "examples.vw"), "--quiet"),
            *("--loss_function", "logistic", "-b", "18", "--passes", str(epochs)),
            *(["-c", "-k", "--holdout_off"] if epochs > 1 else []),
        ],
        "Parquet streamed": [*fit, parquet, "--target", "y", "--stream", *options],
        "Parquet in memory": [*fit, parquet, "--target", "y", "--no-stream", *options],
    }


def timed(command: list[str]) -> tuple[float, float, float]:
    """Seconds of a command, seconds of cores that it took, and the most megabytes that it had resident."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def race(folder: Path, turns: int, epochs: int, without: list[str]) -> None:
    entrants = {name: command for name, command in contenders(folder, epochs).items() if name not in without}
    entrants = {name: command for name, command in entrants.items() if _exists(command)}
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in entrants}
    for turn in range(turns):
        for name, command in entrants.items():
            found[name].append(timed(command))
            print(f"turn {turn + 1}: {name}", *(f"{number:.1f}" for number in found[name][-1]), file=sys.stderr)
    print(f"{'':24} {'seconds':>9} {'of cores':>9} {'MB resident':>12}")
    for name, results in found.items():
        seconds, cores = (statistics.median(each[i] for each in results) for i in (0, 1))
        print(f"{name:24} {seconds:9.1f} {cores:9.1f} {max(each[2] for each in results):12.0f}")


def _exists(command: list[str]) -> bool:
    files = [part for part in command if part.endswith((".svm", ".parquet", ".vw"))]
    return all(os.path.exists(file) for file in files)


def main() -> None:
    arguments = _parser().parse_args()
    if arguments.command == "race":
        race(arguments.folder, arguments.turns, arguments.epochs, arguments.without)
        return
    arguments.folder.mkdir(parents=True, exist_ok=True)
    size = int(arguments.gigabytes * 1e9)
    if arguments.only != "parquet":
        make_svmlight(arguments.folder, size)
    if arguments.only != "svm":
        make_parquet(arguments.folder, size)


if __name__ == "__main__":
    main()
