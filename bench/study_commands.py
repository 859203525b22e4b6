"""Seconds of whole commands that train a linear model on a file, on the data sets of `study_linear.py`.

    python bench/study_commands.py [SET ...] [--turns 3]

Each command reads svmlight text (Vowpal Wabbit: its own format) and trains with its defaults, in turns; the medians are
printed. The commands are `fastadagrad fit`, a script that scales with MaxAbsScaler and trains scikit-learn's
SGDClassifier or SGDRegressor, and ``python -m vowpalwabbit`` with a loss for the labels, once through the file and ten
times. The kernels have been compiled before. It needs vowpalwabbit and the packages that `sets.py` names.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from data import Absent
from sets import SETS, Set
from streams import timed

OURS, SGD, ONE_PASS, TEN_PASSES = "fastadagrad fit", "scikit-learn SGD", "Vowpal Wabbit", "Vowpal Wabbit, 10 passes"
SCRIPT = """
import sys
from sklearn.datasets import load_svmlight_file
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.preprocessing import MaxAbsScaler
X, y = load_svmlight_file(sys.argv[1])
model = SGDRegressor() if sys.argv[2] == "regression" else SGDClassifier(loss="log_loss")
model.fit(MaxAbsScaler().fit_transform(X), y)
"""


def write(each: Set, folder: Path) -> tuple[Path, Path, int]:
    """The examples as svmlight text and in Vowpal Wabbit's format; the number of classes, 0 for regression."""
    from scipy import sparse
    from sklearn.datasets import dump_svmlight_file

    X, _, y, _ = each.split()
    X = sparse.csr_array(X)
    classes = 0
    if not each.regression:
        names, y = np.unique(y, return_inverse=True)
        classes = len(names)
        y = 2 * y - 1 if classes == 2 else y + 1
    svm, vw = folder / f"{each.name}.svm", folder / f"{each.name}.vw"
    dump_svmlight_file(X, y, str(svm), zero_based=False)
    with svm.open() as lines, vw.open("w") as out:
        out.writelines(line.replace(" ", " | ", 1) for line in lines if not line.startswith("#"))
    return svm, vw, classes


def commands(svm: Path, vw: Path, classes: int) -> dict[str, list[str]]:
    kind = "regression" if not classes else "classes"
    loss = ["--loss_function", "logistic" if classes else "squared", *(["--oaa", str(classes)] if classes > 2 else [])]
    wabbit = [sys.executable, "-m", "vowpalwabbit", "-d", str(vw), "--quiet", *loss]
    fit = [sys.executable, "-m", "fastadagrad", "fit", str(svm), "--quiet"]
    return {
        OURS: [*fit, *([] if classes else ["--loss", "squared"])],
        SGD: [sys.executable, "-c", SCRIPT, str(svm), kind],
        ONE_PASS: wabbit,
        TEN_PASSES: [*wabbit, "--passes", "10", "-c", "-k", "--holdout_off"],
    }


def race(each: Set, turns: int, folder: Path) -> dict[str, float]:
    entrants = commands(*write(each, folder))
    timed(entrants[OURS])  # compiles
    seconds: dict[str, list[float]] = {name: [] for name in entrants}
    for _ in range(turns):
        for name, command in entrants.items():
            seconds[name].append(timed(command)[0])
    return {name: statistics.median(found) for name, found in seconds.items()}


def line(*cells: Any) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", metavar="SET", help="names of sets; by default all")
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    names = OURS, SGD, ONE_PASS, TEN_PASSES
    print(line("set", "kind", *names))
    print(line(*["---"] * (2 + len(names))))
    for name in arguments.sets or SETS:
        with TemporaryDirectory() as folder:
            try:
                found = race(SETS[name], arguments.turns, Path(folder))
            except Absent as absent:
                print(absent, file=sys.stderr)
                continue
        print(line(name, SETS[name].kind, *(f"{found[each]:.2f}" for each in names)), flush=True)
    packages = ("fastadagrad", "scikit-learn", "vowpalwabbit", "numpy", "numba")
    print("\n" + ", ".join(f"{each} {version(each)}" for each in packages))


if __name__ == "__main__":
    main()
