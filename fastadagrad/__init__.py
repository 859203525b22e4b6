"""AdaGrad for NumPy arrays: fused Numba kernels, exact to the last bit."""

__version__ = "0.1.0"
