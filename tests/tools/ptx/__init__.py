"""PTX run on the CPU, as strictly as a GPU would have it and more: no GPU, compiler or driver is needed, only NumPy.

What a GPU would let pass, or answer with an error that names no line, raises `Fault`: access outside of the arrays or
not aligned, or to one place by two threads between which there is no barrier; a barrier that not all threads reach; a
shuffle without all the threads that its mask names; an operation on floats that does not round to nearest; an
instruction that is not known. What nothing has written holds junk, and threads run in an order that is drawn: both
from a seed.

`launch` takes addresses, as a driver does; `load` gives a kernel that takes NumPy arrays. docs/howto/ptx.md has more.
"""

from .fault import Fault
from .junk import junk
from .kernel import Kernel, differing, launch, load
from .program import TYPES, kernels, parse
from .subset import FORMS, SETS

__all__ = ["FORMS", "SETS", "TYPES", "Fault", "Kernel", "differing", "junk", "kernels", "launch", "load", "parse"]
