"""Kernels with every index checked by NUMBA_BOUNDSCHECK=1, under which reading beside an array is an IndexError."""

import os
import subprocess
import sys

import numba
import pytest
from places import ROOT

from fastadagrad.kernels import disk_cache, jit

PROBE = """
import numpy as np
from fastadagrad.kernels.jit import compiled
kernel = compiled(lambda array, i: array[i])
try:
    kernel(np.zeros(3), 3)
except IndexError:
    print("checked")
"""
# Loops over dense parameters, rows, what rows missed, features of linear models, and text.
CHECKED = [
    "tests/kernels/test_bits.py::test_many_tensors",
    "tests/host/test_row_unit.py::test_many_tensors",
    "tests/host/test_row_unit.py::test_nothing_in_it",
    "tests/kernels/test_csr.py",
    "tests/kernels/test_lookup.py",
    "tests/kernels/test_linear_loops.py::test_has_the_bits_of_the_formula",
    "tests/data/test_svmlight.py::test_random_tokens_agree_with_the_plain_parser",
]


def test_kernels_that_are_compiled_otherwise_have_other_files(monkeypatch):
    """A process with checks finds none of the kernels that were compiled without, and leaves them none of its own."""
    codegen, cache = jit.compiled(lambda: 0).targetctx.codegen(), disk_cache.KernelCache(lambda: 0, {})
    usual = cache._name((), codegen)
    assert usual == cache._name((), codegen)
    for name, value in {"BOUNDSCHECK": 1, "OPT": 0, "LOOP_VECTORIZE": 0, "DEBUGINFO_DEFAULT": 1}.items():
        with monkeypatch.context() as patch:
            patch.setattr(numba.config, name, value)
            assert cache._name((), codegen) != usual


@pytest.mark.slow
def test_no_kernel_reaches_beside_an_array(tmp_path):
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", PROBE]
    probe = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert probe.stdout == "checked\n"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *CHECKED]
    command += ["-k", "not threaded and not (serial and float64 and not int32) and not int64 and not batches"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:]
    assert " passed" in done.stdout
