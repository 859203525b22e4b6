"""Compiled updates that users call from inside their own `@njit` loops, and in CUDA kernels of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Self, Unpack, cast, overload

import numpy as np
from numpy.typing import DTypeLike

from .engine.given import MOST
from .engine.options import Conduct, Hyper, Settings, cast_scalars, make_settings
from .engine.parameters import COMPUTED, FloatArray
from .engine.state import fresh_slots, kind_of
from .kernels.cpu.one_array import make_array_update
from .kernels.memory.storage import AS_COMPUTED
from .kernels.rules import trait
from .optimizer.methods import method_named
from .support.asking import asking, shown, whether
from .support.checks import one_of, whole_number

MOST_DIMENSIONS = 64  # that an array of NumPy may have


@dataclass(frozen=True)
class _Update:
    """A method's settings, and what makes the arguments of its update."""

    update: Callable[..., None]
    _settings: Settings
    _dtype: np.dtype[Any]

    def __repr__(self) -> str:
        usual, _ = make_settings(self._settings.rule, {})
        defaults = {**vars(usual.options), **vars(usual.own)}
        given = {**vars(self._settings.options), **vars(self._settings.own)}
        own = [f"{name}={value!r}" for name, value in given.items() if callable(value) or value != defaults[name]]
        return f"{type(self).__name__}({', '.join([repr(self._settings.rule.name), *own])}; {self._dtype})"

    def __copy__(self) -> Self:
        return self

    def scalars(self, t: int = 0) -> Any:
        """Form the scalars of step t, the named tuple s; they are the same for all steps unless the rate is scheduled.

        Parameters
        ----------
        t : int, default 0
            Number of the step, 0 at the first.

        Returns
        -------
        named tuple of float32 or float64
            The argument s of `update`.

        Raises
        ------
        TypeError, ValueError
            If t is no whole number of at least 0, if a scalar is beyond what the dtype can hold, or if a schedule
            returns no learning rate.

        Examples
        --------
        >>> import fastadagrad as fa
        >>> sgd = fa.compiled_update("sgd", learning_rate=1.0, lr_decay=0.5)
        >>> [float(sgd.scalars(t).learning_rate) for t in (0, 2)]
        [1.0, 0.5]
        """
        return self._settings.rule.Scalars(*cast_scalars(self._settings, whole_number("t", t, 0, MOST), self._dtype))

    @asking("p")
    def slots(self, p: FloatArray) -> tuple[FloatArray, ...]:
        """Make new state for a parameter: the method's slots, and the velocity with momentum.

        Parameters
        ----------
        p : ndarray
            The parameter, of the chosen dtype. It is not written.

        Returns
        -------
        tuple of ndarray
            The argument slots of `update`: arrays of the shape of p, or with fewer elements where these share an
            accumulator.

        Raises
        ------
        TypeError
            If p is no array of the chosen dtype.

        Examples
        --------
        >>> import numpy as np
        >>> import fastadagrad as fa
        >>> adagrad = fa.compiled_update(initial_accumulator_value=0.5, momentum=0.9)
        >>> adagrad.slots(np.array([1.0, 2.0]))
        (array([0.5, 0.5]), array([0., 0.]))
        """
        if not isinstance(p, np.ndarray) or p.dtype != self._dtype:
            found = f"one of {p.dtype}" if isinstance(p, np.ndarray) else shown(p)
            raise TypeError(f"p must be an ndarray of {self._dtype}, which the update is compiled for, not {found}")
        return fresh_slots(p, self._settings)


@dataclass(frozen=True, repr=False)
class CompiledUpdate(_Update):
    """The compiled functions of a method, as `compiled_update` returns them.

    Attributes
    ----------
    update : callable
        ``update(p, g, slots, s)`` steps the array p in place with the gradient g: both C-contiguous, of at least one
        dimension and of the chosen dtype. Nothing is checked.
    threaded : callable
        ``threaded(p, g, slots, s, spans)`` gives the same bits with the work split into `spans` parts.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> sgd = fa.compiled_update("sgd", learning_rate=0.5)
    >>> p = np.array([1.0, -2.0])
    >>> sgd.update(p, np.array([0.5, 0.5]), sgd.slots(p), sgd.scalars())
    >>> p
    array([ 0.75, -2.25])
    """

    threaded: Callable[..., None]
    _kind: str

    def __reduce__(self) -> tuple[Any, ...]:
        return _compiled, (self._settings, self._dtype, self._kind)


@dataclass(frozen=True, repr=False)
class CudaUpdate(_Update):
    """The device function of a method, as `compiled_update` returns it for ``target="cuda"``.

    Attributes
    ----------
    update : callable
        ``update(p, i, g, slots, s)`` steps ``p[i]`` in a kernel of the compiler that the update was made for. p is a
        device array of the chosen dtype, and i a whole number or, where p has several dimensions, a tuple of these; g
        is the gradient of this one element, a number that is rounded to the dtype. `slots` is a tuple of device arrays
        of the shape of p, and s is what `scalars` gives. Indices are not checked.

    Examples
    --------
    >>> def make_kernel(update):
    ...     from numba import cuda
    ...
    ...     @cuda.jit
    ...     def descend(p, gradient, slots, s):
    ...         i = cuda.grid(1)
    ...         if i < p.size:
    ...             update(p, i, gradient[i], slots, s)
    ...
    ...     return descend
    """

    _target: str

    def __reduce__(self) -> tuple[Any, ...]:
        return _compiled_for_cuda, (self._settings, self._dtype, self._target)


@overload
def compiled_update(
    algo: str = "adagrad",
    *,
    dtype: DTypeLike = ...,
    ndim: int = ...,
    target: Literal["cpu"] = ...,
    **hyper: Unpack[Hyper],
) -> CompiledUpdate: ...
@overload
def compiled_update(
    algo: str = "adagrad",
    *,
    dtype: DTypeLike = ...,
    ndim: int = ...,
    target: Literal["cuda", "cuda-mlir"],
    **hyper: Unpack[Hyper],
) -> CudaUpdate: ...
def compiled_update(
    algo: str = "adagrad",
    *,
    dtype: DTypeLike = np.float64,
    ndim: int = 1,
    target: Literal["cpu", "cuda", "cuda-mlir"] = "cpu",
    **hyper: Unpack[Hyper],
) -> CompiledUpdate | CudaUpdate:
    """Compile a fused update for use inside a nopython loop, or inside a CUDA kernel.

    Parameters
    ----------
    algo : str, default "adagrad"
        Name of the method, as `build` takes it.
    dtype : float32 or float64, default float64
        Dtype of the parameters.
    ndim : int, default 1
        Number of dimensions of the parameters; it matters only for ``accumulator="row"``, which is by element where
        there are no rows.
    target : {"cpu", "cuda", "cuda-mlir"}, default "cpu"
        What compiles the code that calls the update: ``numba.njit``; ``numba.cuda.jit`` of numba-cuda; or
        ``numba_cuda_mlir.cuda.jit`` of numba-cuda-mlir, its successor. "cuda" is the successor where that alone is
        installed. See Notes.
    **hyper
        Hyperparameters for one parameter, as the method's class takes them. Norm clipping needs norms beforehand and is
        refused, as are those that have no effect in an update: `groups`, `frozen`, `nonfinite`, `threads`, `patience`,
        ... In a CUDA kernel each element has its own accumulator.

    Returns
    -------
    CompiledUpdate or CudaUpdate
        The functions to call, and functions that make their arguments.

    Raises
    ------
    TypeError, ValueError
        If there is no such method, or an argument or a hyperparameter is refused.
    RuntimeError
        If the target is CUDA, and its compiler is not installed, or the formula has what GPUs do not compute exactly.

    Notes
    -----
    The update for CUDA kernels is a device function of one element, ``update(p, i, g, slots, s)``, with the bits of the
    CPU: none of its products and sums are contracted, and its quotients and roots are rounded correctly. It stands in
    the kernel as PTX that this library makes, so that this holds whatever the kernel is compiled with, ``fastmath``
    included. The gradient is the kernel's own: both compilers contract products and sums, and have no option against
    it but to write ``libdevice.fmul_rn(x, y)`` for ``x * y``, or ``dmul_rn`` in float64. No GPU has run any of it: the
    PTX that the compilers make of kernels has been run by an interpreter on the CPU.

    No extra brings the compilers, as they come for one version of CUDA or another: ``pip install "numba-cuda[cu13]"
    "numpy<2.5"``, or ``"numba-cuda-mlir[cu13]"``. numba-cuda is not developed any further, and its last release,
    0.30.4, fails beside NumPy 2.5.

    Examples
    --------
    >>> import numpy as np
    >>> from numba import njit
    >>> import fastadagrad as fa
    >>> adagrad = fa.compiled_update(learning_rate=0.5)
    >>> update, s = adagrad.update, adagrad.scalars()
    >>> @njit
    ... def minimize_square(p, slots, s, steps):
    ...     for _ in range(steps):
    ...         update(p, 2 * p, slots, s)
    >>> p = np.array([1.0, -2.0])
    >>> minimize_square(p, adagrad.slots(p), s, 100)
    >>> bool((abs(p) < 1e-3).all())
    True

    On a GPU:

    >>> def on_a_gpu():
    ...     from numba import cuda
    ...     adagrad = fa.compiled_update(dtype=np.float32, learning_rate=0.5, target="cuda")
    ...     update = adagrad.update
    ...
    ...     @cuda.jit
    ...     def minimize_square(p, slots, s, steps):
    ...         i = cuda.grid(1)
    ...         if i < p.size:
    ...             for _ in range(steps):
    ...                 update(p, i, 2 * p[i], slots, s)
    ...
    ...     p = np.ones(1000, np.float32)
    ...     there, slots = cuda.to_device(p), tuple(cuda.to_device(slot) for slot in adagrad.slots(p))
    ...     minimize_square[4, 256](there, slots, adagrad.scalars(), 100)
    ...     return there.copy_to_host()
    """
    rule = method_named(algo).rule
    for name in ("max_gradient_norm", "max_global_norm"):
        if whether(name, hyper.get(name)):
            raise ValueError(
                "max_gradient_norm and max_global_norm need the norm before the update: scale the gradient in your loop"
            )
    idle = {"groups", "frozen", *vars(Conduct())} & {*hyper}
    if idle:
        raise TypeError(f"compiled_update got {sorted(idle)}, which no update uses: leave them out")
    settings, _ = make_settings(rule, hyper)
    if trait(settings.form, "measured"):
        raise ValueError(f"{rule.name.upper()} measures all parameters before each step: use its optimizer's step")
    with asking("dtype", dtype):
        precision = np.dtype(dtype)
    if precision not in COMPUTED:
        raise TypeError(f"dtype must be float32 or float64, not {precision}")
    kind = kind_of("p", np.empty((0,) * whole_number("ndim", ndim, 0, MOST_DIMENSIONS), precision), settings)
    if one_of("target", target, ("cpu", "cuda", "cuda-mlir")) == "cpu":
        return _compiled(settings, precision, kind)
    _refuse_for_cuda(settings, kind)
    return _compiled_for_cuda(settings, precision, target)


def _refuse_for_cuda(settings: Settings, kind: str) -> None:
    """Refuse what a step of one element alone cannot do, or not in arrays of the parameter's dtype."""
    if kind != "element":
        raise ValueError(
            f"target must be 'cpu' with accumulator={settings.options.accumulator!r}: a thread of a CUDA kernel steps "
            "one element, and cannot add up the squares of others"
        )
    stored = [slot for slot, storage in trait(settings.form, "stored").items() if storage is not AS_COMPUTED]
    if stored:
        raise ValueError(
            f"target must be 'cpu' for {settings.rule.name.upper()}, which keeps {', '.join(stored)} in another dtype "
            "than the parameter's"
        )


def _compiled(settings: Settings, dtype: np.dtype[Any], kind: str) -> CompiledUpdate:
    lean = kind == "element" and settings.lean
    pair = make_array_update(cast(Any, settings.form), settings.motion, kind, lean, dtype)
    return CompiledUpdate(pair.serial, settings, dtype, pair.threaded, kind)


def _compiled_for_cuda(settings: Settings, dtype: np.dtype[Any], target: str) -> CudaUpdate:
    from .kernels.cuda.device_functions import make_device_function, target_installed

    found = target_installed(target)
    update = make_device_function(cast(Any, settings.form), settings.motion, settings.lean, dtype, found)
    return CudaUpdate(update, settings, dtype, found)
