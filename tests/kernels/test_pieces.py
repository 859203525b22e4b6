"""Pieces of kernels have no machine code of their own."""

import numpy as np
import pytest
from numba import njit

from fastadagrad.kernels import jit, pieces


@pytest.mark.skipif(not pieces.OPTIONS, reason="Numba's own names have moved: pieces are compiled as it compiles them")
def test_only_the_kernel_has_machine_code(monkeypatch):
    finalize, has_machine_code = pieces.JITCodeLibrary._finalize_specific, []

    def note(library):
        has_machine_code.append(library.name)
        finalize(library)

    monkeypatch.setattr(pieces.JITCodeLibrary, "_finalize_specific", note)

    @jit.jitable
    def third(x):
        return x / 3

    @jit.jitable
    def thirds(x):
        return third(x) + third(x + 1)

    def kernel(x):
        return thirds(x) + third(x + 2)

    assert njit(**jit.OPTIONS)(kernel)(1.0) == 1 / 3 + 2 / 3 + 3 / 3
    ours = [name for name in has_machine_code if name != "nrt"]  # which is Numba's runtime
    assert [name.rpartition(".")[2] for name in ours] == ["kernel"]


def test_the_bits_are_those_of_pieces_that_numba_compiles(monkeypatch):
    def make():
        monkeypatch.setattr(jit, "_pieces", {})

        @jit.jitable
        def ratio(a, b):
            return (a + b) / (a - b) if a > b else -b

        def total(values):
            result = 0.0
            for a in values:
                result += ratio(a, 0.3)
            return result

        return njit(**jit.OPTIONS)(total)

    values = np.array([0.1, 0.7, 1.9, -2.0, 0.3])
    here = make()(values)
    monkeypatch.setattr(pieces, "OPTIONS", {})
    assert make()(values) == here
