"""What steps parameters on a GPU; needs numba-cuda and CUDA's compiler."""

from .reading import DeviceReader
from .row_unit import DeviceDenseForm, DeviceRowUnit
from .unit import DeviceBucket

__all__ = ["DeviceBucket", "DeviceDenseForm", "DeviceReader", "DeviceRowUnit"]
