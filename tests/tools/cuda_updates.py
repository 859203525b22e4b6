"""Updates for CUDA kernels: what there is to step, and kernels that step it, run from their PTX on the CPU."""

from importlib.util import find_spec

import numpy as np
import ptx
import pytest
from adagrad_options import OPTIONS
from family import METHODS, ONE_OF_EACH, oracle_of, product_of
from oracle import Oracle, bits_differ, spread

import fastadagrad as fa

REFUSED = {"max_gradient_norm", "max_global_norm"}
QUICK = {("ADAGRAD", "plain"), ("ADAGRAD", "all at once, no norm")}
ALL_AT_ONCE = {name: value for name, value in OPTIONS["all at once"].items() if name not in REFUSED}
ADAGRAD = {
    **{name: hyper for name, hyper in OPTIONS.items() if not REFUSED & {*hyper} and "accumulator" not in hyper},
    "all at once, no norm": {**ALL_AT_ONCE, "max_gradient_elem": 0.5},
}
VARIANTS = {("ADAGRAD", variant): hyper for variant, hyper in ADAGRAD.items()}
VARIANTS |= {
    (name, variant): {key: value for key, value in hyper.items() if key not in REFUSED}
    for name, (_, variants) in METHODS.items()
    for variant, hyper in variants.items()
}


def case(name, variant, dtype):
    quick = dtype is np.float32 and ((name, variant) in QUICK or (name != "ADAGRAD" and variant in ONE_OF_EACH))
    return pytest.param(name, variant, dtype, marks=[] if quick else pytest.mark.slow)


CASES = [case(*each, dtype) for each in VARIANTS for dtype in (np.float32, np.float64)]


def algo_of(name):
    return "adagrad_da" if name == "AdaGradDA" else name.lower()


def assert_steps_agree(name, variant, dtype, step):
    """Step an array by ``step(t, p, g, slots)``, which writes p and slots, and by the plain formula; compare the bits.

    `step` is made by a factory, which is given what makes its arguments, and the number of elements.
    """
    hyper, n = VARIANTS[name, variant], 70
    rng = np.random.default_rng(11)
    p = rng.standard_normal(n).astype(dtype)
    oracle = Oracle([p], **hyper) if name == "ADAGRAD" else oracle_of(name, p, **hyper)
    slots = fa.compiled_update(algo_of(name), dtype=dtype, **hyper).slots(p)
    for t in range(4):
        g = spread(rng, p.shape, dtype)
        if name == "ESGD":
            slots[1][...] = product_of(g)
        step(t, p, g, slots)
        oracle.step([g] if name == "ADAGRAD" else g)
    if name == "ADAGRAD":
        assert bits_differ(p, oracle.p[0]) == bits_differ(slots[0], oracle.G[0]) == 0
    else:
        assert bits_differ(p, oracle.p) == 0
        for slot, expected in zip(slots, oracle.slots, strict=False):  # the velocity is behind them
            assert bits_differ(slot, expected) == 0


class _Compiler:
    """A compiler of CUDA kernels, which asks for a GPU's compute capability and is told one."""

    def compiled(self, kernel, arguments, **options):
        """PTX of a kernel whose arguments are these host arrays, tuples and numbers."""
        return self.cuda.compile_ptx(kernel, tuple(map(self.typeof, arguments)), cc=(9, 0), **options)[0]

    def optimisable(self, kernel, arguments):
        """The kernel before NVIDIA's linker has optimised it."""
        options = {"device": False, "abi": "numba", "output": "ltoir", "cc": (9, 0)}
        return self.cuda.compile(kernel, tuple(map(self.typeof, arguments)), **options)[0]

    def run(self, text, arguments, threads=96):
        """Run it on the CPU; `arguments` are those that it was compiled for."""
        flat = [part for argument in arguments for part in self.parts(argument)]
        memory = [a for x in arguments for a in (x if isinstance(x, tuple) else (x,)) if isinstance(a, np.ndarray)]
        ptx.launch(text, 1, threads, flat, memory)

    def parts(self, argument):
        if isinstance(argument, tuple):
            return [part for member in argument for part in self.parts(member)]
        return self.header(argument) if isinstance(argument, np.ndarray) else [argument]


class NumbaCuda(_Compiler):
    package, target, installed_by = "numba_cuda", "cuda", 'pip install "numba-cuda[cu13]" "numpy<2.5"'

    def __init__(self, monkeypatch):
        from numba import cuda
        from numba.cuda import dispatcher
        from numba.cuda.typing.typeof import typeof

        self.cuda, self.typeof = cuda, typeof
        gpu = type("GPU", (), {"compute_capability": (9, 0)})
        monkeypatch.setattr(dispatcher, "get_current_device", lambda: gpu)

    def header(self, a):
        return [0, 0, a.size, a.itemsize, a.ctypes.data, *a.shape, *a.strides]


class NumbaCudaMlir(_Compiler):
    package, target, installed_by = "numba_cuda_mlir", "cuda-mlir", 'pip install "numba-cuda-mlir[cu13]"'

    def __init__(self, monkeypatch):
        from numba_cuda_mlir import cuda, tools
        from numba_cuda_mlir.numba_cuda.typing.typeof import typeof

        self.cuda, self.typeof = cuda, typeof
        monkeypatch.setattr(tools, "get_gpu_compute_capability", lambda kind=str: (9, 0) if kind is tuple else "sm_90")

    def header(self, a):
        return [a.ctypes.data, a.ctypes.data, 0, *a.shape, *(stride // a.itemsize for stride in a.strides)]


COMPILERS = [NumbaCuda, NumbaCudaMlir]


@pytest.fixture(params=COMPILERS, ids=lambda kind: kind.target)
def compiler(request, monkeypatch):
    kind = request.param
    if find_spec(kind.package) is None:
        pytest.skip(f"updates for CUDA kernels of a user's own are NOT tested for {kind.target!r}: {kind.installed_by}")
    return kind(monkeypatch)
