"""What the compiler for CUDA lacks beside a newer NumPy, lent to it; and that it is there where it is installed."""

import textwrap
from importlib.metadata import PackageNotFoundError, version

import pytest
from processes import run

try:
    version("numba-cuda")
except PackageNotFoundError:
    pytest.skip("numba-cuda is not installed: pip install 'fastadagrad[test-cuda]'", allow_module_level=True)

WITHOUT = """
import numba.np.arrayobj  # Numba's own, which knows which NumPy this is
if hasattr(np, "row_stack"):  # as NumPy 2.5
    del np.row_stack
    np.__all__.remove("row_stack")
"""
COMPILE = """
    import sys, threading, warnings
    warnings.simplefilter("error")
    import numpy as np
    BEFORE
    there = hasattr(np, "row_stack")
    from fastadagrad.kernels.cuda import reduce

    def compile(dtype):
        kernel = reduce.make_finite_check(np.dtype(dtype), (9, 0))
        assert f".entry {kernel.name}(" in kernel.ptx
        print(kernel.name.split("_")[1])

    WORK
    assert hasattr(np, "row_stack") == there
"""
ONE = 'compile("float32")'
TWO_AT_ONCE = """
    threads = [threading.Thread(target=compile, args=(dtype,)) for dtype in ("float32", "float64")]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
"""
FAILING = """
    class Refusal:
        def find_spec(self, name, path, target=None):
            if name == "numba.cuda.np.arrayobj":
                assert hasattr(np, "row_stack")
                raise OSError("a disk that is broken")

    sys.meta_path.insert(0, Refusal())
    try:
        compile("float32")
    except OSError as error:
        assert not hasattr(np, "row_stack")
        print(error)
"""


@pytest.mark.parametrize(
    ("before", "work", "expected"),
    [
        ("", ONE, {"float32"}),
        (WITHOUT, ONE, {"float32"}),
        (WITHOUT, TWO_AT_ONCE, {"float32", "float64"}),
        (WITHOUT, FAILING, {"a disk that is broken"}),
    ],
    ids=["this NumPy", "none", "none, two threads", "none, and the import fails"],
)
def test_row_stack_is_lent_while_it_is_needed(before, work, expected, tmp_path, monkeypatch):
    """Kernels compile where numba-cuda is installed, whatever NumPy there is; NumPy is afterwards as it was."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))  # nothing is kept there
    code = textwrap.dedent(COMPILE).replace("BEFORE", before).replace("WORK", textwrap.dedent(work))
    done = run(code)
    assert done.stderr == "", done.stderr
    assert set(done.stdout.splitlines()) == expected
