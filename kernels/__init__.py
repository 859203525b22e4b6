"""Compiled drivers: loops over memory, made from the method rules in :mod:`fastadagrad.kernels.rules`.

Functions called ``make_...`` return functions. Their docstrings begin with ``Compilable (a, b)`` if the result is a
function of a and b that compiled code may call, with ``Compiled (a, b)`` if Python calls it, and with ``Kernel (a, b)``
if it is a CUDA kernel. A comment ``# (a, b) -> c`` beside a field of a named tuple is the signature of the function in
the field.
"""

if __name__ != "fastadagrad.kernels":
    raise ImportError(
        "this folder is the package fastadagrad.kernels: import it by that name, "
        "after installing the project (pip install -e .)"
    )
