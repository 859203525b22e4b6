"""Arrays of no library that anybody knows, in the host's memory: they lend it by DLPack, or by NumPy's own protocol."""

import numpy as np


class ByDLPack:
    """An array that is none of NumPy's, with ``__dlpack__``."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **kwargs):
        return self.array.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


class ByInterface:
    """The same with ``__array_interface__`` alone."""

    def __init__(self, array):
        self.array = array

    @property
    def __array_interface__(self):
        return self.array.__array_interface__


class Elsewhere(ByDLPack):
    """An array in memory that is neither the host's nor CUDA's."""

    def __dlpack_device__(self):
        return 8, 0  # Metal


def address(array):
    return array.__array_interface__["data"][0] if isinstance(array, np.ndarray) else address(array.array)
