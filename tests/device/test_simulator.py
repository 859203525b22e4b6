"""Under Numba's CUDA simulator, which has neither PTX nor arrays that say where they are: nothing is in its way.

What the simulator is to kernels elsewhere, `ptx.py` is here: kernels work on addresses, and it runs what is compiled.
"""

import os
import subprocess
import sys
import textwrap

import pytest
from gpu import Interpreter


def run(code):
    Interpreter()  # skips where numba-cuda is not installed
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    ).stdout.split("\n")


def test_host_arrays_and_the_whole_protocol():
    out = run(
        """
        import numpy as np
        from numba import cuda
        import fastadagrad as fa
        assert "simulator" in type(cuda.to_device(np.ones(1))).__module__
        def loss(w, x, y):
            error = x @ w - y
            return error @ error / len(y), 2 * error @ x / len(y)
        x = np.random.default_rng(0).standard_normal((100, 3))
        w = np.zeros(3)
        opt = fa.ADAGRAD(loss, w, learning_rate=0.5, momentum=0.5)
        opt.minimize([x, x @ [1.0, 2.0, 3.0]], max_epochs=30, rng=0)
        print(np.abs(w - [1, 2, 3]).max() < 1e-2)
        """
    )
    assert out[0] == "True"


@pytest.mark.parametrize("what", ["parameter", "gradient"])
def test_its_arrays_are_refused_as_the_host_arrays_that_they_are_not(what):
    out = run(
        f"""
        import numpy as np
        from numba import cuda
        import fastadagrad as fa
        array = cuda.to_device(np.ones(3))
        try:
            if {what!r} == "parameter":
                fa.ADAGRAD(params=array)
            else:
                fa.ADAGRAD(params=np.ones(3)).step(array)
        except TypeError as error:
            print(error)
        """
    )
    assert f"{what} " in out[0]
    assert "numpy.ndarray, not FakeCUDAArray; pass numpy.asarray" in out[0]
