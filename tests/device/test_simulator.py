"""Under Numba's CUDA simulator, which has neither PTX nor arrays that say where they are: nothing is in its way.

What the simulator is to kernels elsewhere, `ptx` is here: kernels work on addresses, and it runs what is compiled.
"""

import os
import subprocess
import sys
import textwrap
from importlib.util import find_spec

import pytest

pytestmark = pytest.mark.skipif(find_spec("numba.cuda") is None, reason="this Numba has no simulator of CUDA")


def run(code):
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


def test_its_arrays_are_the_host_arrays_that_they_are_made_of():
    out = run(
        """
        import numpy as np
        from numba import cuda
        import fastadagrad as fa
        w, v = np.ones(3), np.ones(3)
        array, gradient = cuda.to_device(w), cuda.to_device(np.array([1.0, -2.0, 0.5]))
        fa.ADAGRAD(params=array, learning_rate=0.5).step(gradient)
        fa.ADAGRAD(params=v, learning_rate=0.5).step(np.array([1.0, -2.0, 0.5]))
        print(np.array_equal(array.copy_to_host(), v), v.round(3).tolist())
        """
    )
    assert out[0] == "True [0.5, 1.5, 0.5]"
