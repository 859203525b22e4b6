"""Compiled drivers: loops over memory, made from the method rules in :mod:`fastadagrad.kernels.rules`."""

if __name__ != "fastadagrad.kernels":
    raise ImportError(
        "this folder is the package fastadagrad.kernels: import it by that name, "
        "after installing the project (pip install -e .)"
    )
