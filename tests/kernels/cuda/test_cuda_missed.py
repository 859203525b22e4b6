"""What catching up on a GPU is made of: exponentials and logarithms with the bits of the CPU's.

That the rows come out as on the host is in test_device_rows.py.
"""

import numpy as np
import ptx
import pytest
from cuda_kernels import CC
from numba import types
from oracle import bits_differ
from power_cases import NAMES, by_cpu, numbers

from fastadagrad.kernels import powers
from fastadagrad.kernels.cuda import threads
from fastadagrad.kernels.cuda.compiling import compile_kernel
from fastadagrad.kernels.cuda.memory import load_double, store_double


@pytest.mark.parametrize("name", NAMES)
def test_the_bits_of_the_cpu(name):
    function, x = getattr(powers, name), numbers(name)
    n, word = np.uint64(x.size), np.uint64(8)

    def kernel(source, target):
        i = threads.thread()
        if i < n:
            store_double(target + i * word, function(load_double(source + i * word)))

    found = ptx.junk(x.shape, x.dtype)
    compiled = compile_kernel("test", kernel, (types.uint64,) * 2, CC)
    ptx.launch(compiled.ptx, -(-x.size // 256), 256, (x.ctypes.data, found.ctypes.data), [x, found])
    assert bits_differ(found, by_cpu(name, x)) == 0
