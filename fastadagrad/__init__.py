"""AdaGrad for NumPy arrays: fused Numba kernels, exact to the last bit."""

from . import adaptive
from .adaptive import ADAGRAD
from .build import build, minimize
from .dataset import Dataset
from .nopython import CompiledUpdate, compiled_update
from .peers import like

__version__ = "0.1.0"
__all__ = ["ADAGRAD", "CompiledUpdate", "Dataset", "adaptive", "build", "compiled_update", "like", "minimize"]
