"""Commands that are told to end at any moment: no traceback, the right status, and files that are whole.

``python tests/tools/signalled_commands.py --moments 40 --seed 1`` presses Ctrl-C in the first tenth of a second of the
command, and sends SIGTERM to `fit` and `compare` at moments of all their time. Before Python has come to the command's
own code, it ends by itself, with a traceback of its own modules or without one: these are counted apart.
"""

import argparse
import collections
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from fastadagrad.linear import LinearModel

INTERRUPTED, TERMINATED = 130, 143
# Frames of the package that stand in a traceback of Python's start: its script, and the package's first lines.
OF_THE_PACKAGE = "__init__", "version", "__main__", "support/__init__", "support/interpreters"
FIRST = ("bin/fastadagrad", *(f"fastadagrad/{name}.py" for name in OF_THE_PACKAGE))


def script():
    """The command of this environment."""
    return str(Path(sys.executable).with_name("fastadagrad"))


def signalled(command, number, after, folder):
    """Status and standard error of a command that gets a signal after so many seconds."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=folder)
    try:
        time.sleep(after)
        process.send_signal(number)
        return process.communicate(timeout=120)[1], process.returncode
    finally:
        process.kill()


def end_of(errors, status, number):
    """What became of a command, in a word, and whether it may be so."""
    if "Traceback" in errors:
        files = re.findall(r'File "(.+?)", line', errors)
        ours = [file for file in files if "fastadagrad/" in file and not file.endswith(FIRST)]
        return ("traceback", False) if ours else ("Python's start", True)
    wanted = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}[number]
    ends = {0: "done", wanted: "interrupted", -number: "by the signal"}
    return ends.get(status, f"status {status}"), status in ends


def early(command, moments, within, rng):
    """Ctrl-C in the first moments of a command."""
    counts, wrong = collections.Counter(), []
    for i in range(moments):
        after = within * (i + rng.random()) / moments
        errors, status = signalled([*command, "info"], signal.SIGINT, after, None)
        end, right = end_of(errors, status, signal.SIGINT)
        counts[end] += 1
        if not right:
            wrong.append(f"Ctrl-C after {after:.3f} s: {end}\n{errors[-1500:]}")
    return counts, wrong


def fits(moments, longest, rng, number=signal.SIGTERM):
    """SIGTERM while `fit` works: the model is whole, of the epochs that were done, or the older one."""
    counts, wrong = collections.Counter(), []
    with tempfile.TemporaryDirectory() as name:
        folder, data = Path(name), np.random.default_rng(0)
        X, w = data.standard_normal((2000, 20)), data.standard_normal(20)
        lines = (
            f"{int(y)} " + " ".join(f"{k + 1}:{v:.4f}" for k, v in enumerate(x))
            for x, y in zip(X, X @ w > 0, strict=True)
        )
        (folder / "data.svm").write_text("\n".join(lines) + "\n")
        common = [sys.executable, "-m", "fastadagrad", "fit", "data.svm", "--model", "m", "--learning-rate", "0.1"]
        subprocess.run([*common, "--epochs", "1", "--quiet"], cwd=folder, check=True, capture_output=True)
        older = (folder / "m").read_bytes()
        for _ in range(moments):
            (folder / "m").write_bytes(older)
            after = rng.uniform(0, longest)
            errors, status = signalled([*common, "--epochs", "100000", "--patience", "100000"], number, after, folder)
            end, right = end_of(errors, status, number)
            content = (folder / "m").read_bytes()
            epochs = len(LinearModel.load(folder / "m").history)
            counts[f"{end}, {'older' if content == older else 'new'} model"] += 1
            left = sorted(path.name for path in folder.iterdir())
            if not right or left != ["data.svm", "m"] or (content != older and epochs < 1):
                wrong.append(f"fit, signal after {after:.2f} s: {end}, {epochs} epochs, {left}\n{errors[-1500:]}")
    return counts, wrong


def comparisons(moments, longest, rng, number=signal.SIGTERM):
    """SIGTERM while `compare` works, the same folder going on each time: its journal is of whole runs."""
    counts, wrong = collections.Counter(), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, "-m", "fastadagrad", "compare", "quadratic", "--methods", "sgd", "adagrad"]
        command += ["--seeds", "200", "--jobs", "2", "--quiet"]
        journal, before = folder / "comparison" / "runs.jsonl", 0
        for _ in range(moments):
            after = rng.uniform(0, longest)
            errors, status = signalled(command, number, after, folder)
            end, right = end_of(errors, status, number)
            counts[end] += 1
            lines = journal.read_bytes().split(b"\n") if journal.exists() else [b""]
            if not right or len(lines) - 1 < before:
                wrong.append(f"compare, signal after {after:.2f} s: {end}, {len(lines)} of {before}\n{errors[-1500:]}")
            before = len(lines) - 1
            if status == 0:
                shutil.rmtree(folder / "comparison")
                before = 0
    return counts, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=40)
    parser.add_argument("--terms", type=int, default=20, help="moments for SIGTERM, of each command")
    parser.add_argument("--within", type=float, default=0.1, help="seconds in which Ctrl-C is pressed")
    parser.add_argument("--seconds", type=float, default=5.0, help="in which SIGTERM is sent")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng, faults = random.Random(given.seed), 0
    tries = {
        "Ctrl-C, python -m": lambda: early([sys.executable, "-m", "fastadagrad"], given.moments, given.within, rng),
        "Ctrl-C, fastadagrad": lambda: early([script()], given.moments, given.within, rng),
        "SIGTERM, fit": lambda: fits(given.terms, given.seconds, rng),
        "SIGTERM, compare": lambda: comparisons(given.terms, given.seconds, rng),
    }
    for what, attempt in tries.items():
        counts, wrong = attempt()
        print(f"{what}: " + ", ".join(f"{end} {n}" for end, n in sorted(counts.items())), *wrong, sep="\n", flush=True)
        faults += len(wrong)
    print(f"{faults} faults")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
