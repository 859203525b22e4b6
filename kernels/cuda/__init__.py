"""The drivers as CUDA kernels, made from the same rules as those of the CPU.

The package imports this folder only where arrays are on a GPU; tests import it without one. Kernels take addresses,
sizes and scalars, and :mod:`.compiling` compiles them to PTX, which needs no GPU.
"""
