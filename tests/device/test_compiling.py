"""Who waits for a kernel of a GPU to be compiled is told of it as of those of the CPU."""

import logging

import numpy as np
from pairs import pair

from fastadagrad.kernels.cuda import compiling


def test_compilations_are_told_of_once_kernels_are_run(interpreter, caplog):
    opt, arrays, *_ = pair(interpreter)
    opt.step([interpreter.array(np.zeros(array.shape, array.dtype)) for array in arrays])
    caplog.clear()
    with caplog.at_level(logging.INFO, "fastadagrad"), compiling.around("dense"):
        pass
    assert caplog.messages == ["compiled the CUDA kernel dense in 0.0 s"]
