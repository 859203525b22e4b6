"""Threads that step and processes that begin meanwhile, under every threading layer; the tools have the long forms."""

import itertools
import os
import sys

import forks
import pytest
import threaded_steps

SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("layer", "threads", "steps", "kinds"),
    [
        ("workqueue", 4, 60, ["dense", "rows"]),
        *(pytest.param(layer, 8, 150, [*threaded_steps.KINDS], marks=SLOW) for layer in ("omp", "workqueue", "tbb")),
    ],
)
def test_threads_give_the_right_bits_and_whole_files(layer, threads, steps, kinds):
    done = threaded_steps.run(layer, threads, steps, 12, ["dense", "rows"], kinds)
    if done is None:
        pytest.skip(f"the threading layer {layer} is not installed")
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert done.stdout.startswith(f"{layer}: {threads} threads x {steps} steps, ")
    assert ", 0 faults, " in done.stdout


QUICK = [("fork", "stepping"), ("fork", "compiling")]
SCENARIOS = [*itertools.product(forks.METHODS, forks.SITUATIONS)]


@pytest.mark.skipif(not hasattr(os, "fork") or sys.platform == "darwin", reason="all ways of starting are Linux's")
@pytest.mark.parametrize(
    ("method", "situation"), [each if each in QUICK else pytest.param(*each, marks=SLOW) for each in SCENARIOS]
)
def test_processes_that_begin_meanwhile_are_right(method, situation):
    assert forks.run(method, situation, 1) == ""
