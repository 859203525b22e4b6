"""The drivers as CUDA kernels, made from the same rules; imported only where device arrays are, or to be checked.

Kernels take addresses, sizes and scalars, and are compiled to PTX by :mod:`.compiling`, for which there need be no GPU.
"""

from . import compiling  # noqa: F401  before any other module imports that compiler: it is not fit for every NumPy
