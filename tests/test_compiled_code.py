"""What the compiler makes of the kernels, where their speed hangs on it."""

import re

import numpy as np
import pytest
from numba import njit

import fastadagrad as fa
from fastadagrad.kernels import drivers, jit, linear, rows, scoring, svmlight, table
from fastadagrad.kernels.rules import adagrad
from fastadagrad.linear import LinearModel
from fastadagrad.sources import load

DTYPE = np.dtype(np.float32)


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    """Those that reading, fitting, predicting and stepping call: each has been called."""
    path = tmp_path_factory.mktemp("text") / "examples.svm"
    path.write_text("".join(f"{n % 2} {n + 1}:1 {n + 5}:2\n" for n in range(8)))
    examples = load(path)
    LinearModel(max_epochs=1).fit(examples).predict(examples)
    LinearModel(max_epochs=1, batch_size=2).fit(examples)
    opt = fa.ADAGRAD(params=[np.zeros(8, DTYPE), np.zeros((8, 2), DTYPE)], threads=1)
    opt.step([np.ones(8, DTYPE), fa.Rows(np.array([1, 3]), np.ones((2, 2), DTYPE))])
    loops = linear.make_loops(adagrad, "plain", True, "sparse", False, False, DTYPE)
    return {
        "scan": svmlight.scan,
        "online": loops.online,
        "batches": loops.batches,
        "score_all": scoring.make_score_all("sparse", False, np.dtype(np.float64)),
        "read_gradients": table.read_gradients,
        "step": drivers.make_driver(adagrad, "plain", "element", True, DTYPE).serial,
        "step_rows": rows.make_update(adagrad, "plain", "element", True, False, True, DTYPE).serial,
    }


def functions(kernel):
    """LLVM's text of the compiled functions, without those that unpack Python's arguments; compiled afresh."""
    options = {name: value for name, value in jit.OPTIONS.items() if name != "cache"}
    compiled = njit(**options)(kernel.py_func)
    signature = kernel.signatures[0]
    compiled.compile(signature)
    parts = re.split(r"^define ", compiled.inspect_llvm(signature), flags=re.MULTILINE)[1:]
    found = [part for part in parts if not re.search("cpython|cfunc|NRT_", part.partition("(")[0])]
    assert found
    return found


@pytest.mark.parametrize("name", ["scan", "online", "batches", "score_all", "read_gradients", "step_rows"])
def test_no_references_are_counted(kernels, name):
    """Each count is an atomic operation, and one for each row or tensor would be most of the work."""
    assert not any("@NRT_incref(" in part for part in functions(kernels[name]))


@pytest.mark.parametrize("name", ["online", "step", "step_rows"])
def test_roots_are_vectors(kernels, name):
    assert any(re.search(r"@llvm\.sqrt\.v\d+f32\(", part) for part in functions(kernels[name]))
