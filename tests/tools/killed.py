"""Training that is killed with SIGKILL at random moments, again and again, and goes on from its checkpoints.

``python tests/tools/killed.py --runs 200 --fits 60 --seed 1`` kills so many runs of an optimizer that saves every
epoch, and so many fits of linear models by the command line, in memory and streamed. After each kill the newest
checkpoint must load. Once nobody kills it any more, the run must end with the bits of one that has never been killed,
and leave no temporary file.

A moment is a time between 0 and the time that an undisturbed run takes, drawn by the seed. Training runs in forks of
one process, where all that it takes is compiled.
"""

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from checkpoints import contents_of
from streamed import RNG

import fastadagrad as fa
from fastadagrad.cli import main
from fastadagrad.data import stream_text
from fastadagrad.linear.fit_checkpoints import Taken
from fastadagrad.linear.streams import fit_stream
from fastadagrad.support.numbered_files import files_in

MOST_KILLS = 4  # of one run
WIDTH = 20_000
X = RNG.standard_normal((60, 3))
ROWS = 4000


def loss(p, x):
    difference = p["w"] - x.sum()
    return float(difference @ difference) / WIDTH, {"w": 2 * difference, "b": p["b"] - x[0]}


def optimizer(method):
    params = {"w": np.zeros(WIDTH), "b": np.zeros(3)}
    return fa.build(method, loss, params, learning_rate=0.01, threads=1)


def run_of(method, every):
    """A run of an optimizer, whose result has all that it would save."""

    def train(folder, result):
        opt = optimizer(method)
        given = {"checkpoint": folder, "every": every, "resume": True} if folder else {}
        for _ in opt.iterate(X, batch_size=12, max_epochs=9, rng=5, validate_every=2, patience=9, **given):
            opt.hyper.learning_rate *= 0.9  # what the body changes has to come back, too
        kept = contents_of(opt)
        result.write_text(repr((kept, opt.history, opt.history.validations, opt.best)))

    return train


def fit_of(source, *options):
    """A fit by the command line, whose result is the model's file."""
    options = [*map(str, options)]

    def train(folder, result):
        given = ["--checkpoint", str(folder), "--resume"] if folder else []
        every = options if folder else [each for each in options if not each.startswith("--every")]
        with contextlib.redirect_stdout(None):
            status = main(["fit", str(source), "--model", str(result), "--quiet", *given, *every])
        assert status == 0, status

    return train


def in_fork(train, folder, result, seconds=None):
    """Train in a child, which is killed after so many seconds; whether it was."""
    child = os.fork()
    if not child:
        status = 1
        try:
            train(folder, result)
            status = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL), f"the child has ended with {status}"
    return status != 0


def loads(path, train_kind):
    if train_kind == "run":
        optimizer("adagrad" if "adagrad" in path else "adam").load(path, hyper=True)
    else:
        Taken(path)


def kill_one(kind, train, expected, seconds, rng, folder, counts):
    """Kill a run at random moments, let it end, and compare."""
    result = folder.parent / "result"
    result.unlink(missing_ok=True)
    for _ in range(int(rng.integers(1, MOST_KILLS + 1))):
        counts["kills"] += in_fork(train, folder, result, seconds * rng.random())
        names = os.listdir(folder) if folder.exists() else []
        counts["killed while a file was written"] += any(name.endswith(".tmp") for name in names)
        files = files_in(str(folder)) if names else []
        assert len(files) <= 4, files
        if files:
            loads(files[0].path, kind)
            counts["newest files loaded"] += 1
    assert not in_fork(train, folder, result)
    stray = [name for name in os.listdir(folder) if name.endswith(".tmp")]
    assert not stray, stray
    assert result.read_bytes() == expected, "the bits differ from those of the run that was never killed"
    counts["runs that have ended with the same bits"] += 1


def kill_all(kind, trainings, number, seed):
    """Kill so many runs; returns counts."""
    counts = Counter()
    with tempfile.TemporaryDirectory() as base:
        measured = {}
        for name, train in trainings.items():
            plain, again = Path(base) / f"{name}-plain", Path(base) / f"{name}-timed"
            train(None, plain)  # compiles
            started = time.monotonic()
            assert not in_fork(train, Path(base) / f"{name}-folder", again)
            measured[name] = time.monotonic() - started, plain.read_bytes()
            assert again.read_bytes() == measured[name][1], name
        for i in range(number):
            name = [*trainings][i % len(trainings)]
            home = Path(base) / f"{i}-{name}"
            home.mkdir()
            seconds, expected = measured[name]
            rng = np.random.default_rng([seed, i])
            try:
                kill_one(kind, trainings[name], expected, seconds, rng, home / "folder", counts)
            except Exception as error:
                counts["failures"] += 1
                print(f"{kind} {i} ({name}), seed {seed}: {type(error).__name__}: {error}", file=sys.stderr)
    return counts


def examples(path):
    features = RNG.normal(size=(ROWS, 6)).round(3)
    labels = (features @ [1.0, -1.0, 0.5, 0.0, 2.0, 0.1] > RNG.normal(size=ROWS)).astype(int)
    rows = zip(labels, features, strict=True)
    path.write_text("".join(f"{y} " + " ".join(f"{j + 1}:{v}" for j, v in enumerate(x)) + "\n" for y, x in rows))
    return path


def kill_runs(number, seed):
    return kill_all("run", {"adagrad": run_of("adagrad", 1), "adam": run_of("adam", 1)}, number, seed)


def kill_fits(number, seed):
    stream_text.BLOCK = 20_000
    fit_stream.__kwdefaults__["buffer"] = 4000
    with tempfile.TemporaryDirectory() as base:
        source = examples(Path(base) / "examples.svm")
        trainings = {
            "memory": fit_of(source, "--epochs", 12),
            "memory-valid": fit_of(source, "--epochs", 9, "--valid", 0.2, "--patience", 2, "--l2", 1e-3),
            "stream": fit_of(source, "--stream", "--epochs", 3, "--every=0.001s"),
            "stream-valid": fit_of(source, "--stream", "--epochs", 5, "--valid", 0.2, "--method", "adam"),
        }
        return kill_all("fit", trainings, number, seed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--fits", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    failed, lines = 0, []
    for what, kill, number in (("runs", kill_runs, chosen.runs), ("fits", kill_fits, chosen.fits)):
        if number:
            found = kill(number, chosen.seed)
            failed += found["failures"]
            lines.append(f"{what}: " + ", ".join(f"{found[name]} {name}" for name in sorted(found)))
            print(lines[-1], flush=True)
    if len(lines) > 1:
        print("in all, " + "; ".join(lines))
    sys.exit(bool(failed))
