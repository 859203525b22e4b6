"""Methods that go by the Hessian of the loss, of which they take products with random vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Unpack

import numpy as np

from ..data.dataset import as_generator
from ..engine.options import Hyper, Rule
from ..engine.parameters import FloatArray
from ..kernels.rules import esgd
from ..support.attributes import MAKING
from .curvature import Curvature, HessianProduct, check_way
from .monitors import Monitor
from .objective import Gradient, Objective
from .optimizer import Optimizer

__all__ = ["ESGD"]


class SecondOrder(Optimizer):
    """What methods share that are fed by Hessian-vector products; `ESGD` says what the arguments are."""

    _making: ClassVar[tuple[str, ...]] = (*MAKING, "hv", "hv_rng")

    def __init__(
        self,
        loss: Callable[..., Any] | None = None,
        params: Any = None,
        inputs: Sequence[str] | None = None,
        updates: Iterable[tuple[FloatArray, Callable[..., Any]]] = (),
        monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (),
        monitor_gradients: bool = False,
        *,
        gradient: Gradient = None,
        hv: HessianProduct = None,
        hv_rng: Any = None,
        **hyper: Unpack[Hyper],
    ) -> None:
        self.hv = hv
        super().__init__(loss, params, inputs, updates, monitors, monitor_gradients, gradient=gradient, **hyper)
        self._session.engine.state.random = as_generator(hv_rng)
        self._session.form_products = self._products
        self._curvature: Curvature | None = None
        self._own_names |= {"_hv", "_curvature"}

    @property
    def hv(self) -> HessianProduct:
        """The way to Hessian-vector products; another one can be set, of those that the constructor takes."""
        return self._hv

    @hv.setter
    def hv(self, hv: HessianProduct) -> None:
        check_way(hv)
        self._hv = hv

    def _make(self, **arguments: Any) -> None:
        SecondOrder.__init__(self, **arguments)

    def _made_of(self) -> dict[str, Any]:
        return {**super()._made_of(), "hv": self.hv, "hv_rng": self._session.engine.state.random}

    def draw_vectors(self) -> Any:
        """Independent standard normal numbers in the structure of params, to form the products of a step with.

        Those of frozen parameters are 0.
        """
        return self._session.params.restructure(self._drawn())

    def _drawn(self) -> list[Any]:
        params, engine = self._session.params, self._session.engine
        random = engine.state.random
        assert random is not None
        vectors = []
        for i, array in enumerate(params.arrays):
            if i in engine.frozen:
                values = np.zeros(array.shape, array.dtype)
            else:
                values = np.asarray(random.standard_normal(array.shape, array.dtype.type))
            vectors.append(params.place.placed(values))
        return vectors

    def _products(self, objective: Objective, arguments: tuple[Any, ...]) -> Sequence[Any]:
        """The Hessian of the loss on a batch times vectors that are drawn for it, one a parameter."""
        session = self._session
        if self._curvature is None or (self._curvature.objective, self._curvature.hv) != (objective, self.hv):
            self._curvature = Curvature(objective, session.params, self.hv)
        return self._curvature.products(self._drawn(), arguments, session.engine.frozen)

    def step(self, gradients: Any = None, products: Any = None) -> None:
        """One fused update of all parameters, in place.

        Parameters
        ----------
        gradients : arrays, Rows or scipy.sparse matrices in the structure of params, optional
            As of every method.
        products : arrays in the structure of params
            The Hessian times vectors of independent standard normal numbers, such as `draw_vectors` gives: each of the
            shape and dtype of its parameter and C-contiguous.

        Raises
        ------
        TypeError, ValueError, IndexError, FloatingPointError
            As of every method, of a gradient or of a product. Nothing has been changed then.
        """
        if products is None:
            raise TypeError(
                f"{self.rule.name.upper()}.step needs products, too: the Hessian times vectors (see draw_vectors), in "
                "the structure of params; or make the optimizer with a loss, and let iterate or minimize form them"
            )
        session = self._session
        flat = session.filled_buffers() if gradients is None else session.params.flatten(gradients)
        session.step_from_outside(flat, session.params.flatten(products, "products"))


class ESGD(SecondOrder):
    r"""Equilibrated SGD: each element's step shrinks with the size of its row of the Hessian, as random products tell.

    .. code-block:: text

        u  = (Hessian * z)                      z of independent standard normal numbers, new in each step
        D  <- r*D + (1-r)*(u*u)                 r = 2^(-1/rms_halflife); averaged: t/(t+1), t = 0 at the first step
        H  = sqrt(D) + e                        epsilon_inside: sqrt(D + e)
        d  = (a*g) / H

    `iterate` and `minimize` form u on the batch of each step.

    Parameters
    ----------
    hv : callable, "autograd", "differences" or None
        ``hv(params, vectors, *batch)`` returns the Hessian of the loss times the vectors; vectors and result are in the
        structure of params. "autograd": derived from the loss. "differences": of the gradients at both sides of the
        parameters, which is two more of them in each step. None: "autograd" where that derives the gradients, else
        "differences".
    hv_rng : None, int, SeedSequence, BitGenerator, Generator or RandomState
        What z is drawn from. Its state is saved with the optimizer.
    rms_halflife : float, default 14
        Steps after which a product counts half.
    rms_regularizer : float, default 1e-8
        e.
    epsilon_inside : bool, default False
        Add e under the root.
    averaged : bool, default False
        D is the mean of all products so far, as in the paper. Chosen when the optimizer is made.
    **hyper
        As of `RMSProp`.

    References
    ----------
    Y. Dauphin, H. de Vries, Y. Bengio, "Equilibrated adaptive learning rates for non-convex optimization", NIPS 2015,
    Algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> import fastadagrad as fa
    >>> curvature = np.array([100.0, 1.0, 0.01])
    >>> w = np.ones(3)
    >>> opt = fa.ESGD(lambda w: (w @ (curvature * w) / 2, curvature * w), w, hv=lambda w, z: curvature * z, hv_rng=0)
    >>> train, valid = opt.minimize(max_epochs=400, learning_rate=0.05, averaged=True)
    >>> bool((abs(w) < 0.01).all())
    True
    """

    rule: ClassVar[Rule] = esgd
