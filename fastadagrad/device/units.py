"""All units of parameters on a GPU, in one module, as importing them needs the compiler of kernels."""

from .bucket import DeviceBucket
from .reading import DeviceReader
from .row_unit import DeviceDenseForm, DeviceRowUnit

__all__ = ["DeviceBucket", "DeviceDenseForm", "DeviceReader", "DeviceRowUnit"]
