"""The base of methods that use the Hessian of the loss, of which they take products with random vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Unpack

import numpy as np

from ..data.randomness import as_generator
from ..engine.options import Hyper
from ..kernels.memory.storage import computed_in
from ..support.attributes import MAKING
from .curvature import Curvature, HessianProduct, check_way
from .monitors import Monitor
from .objective import Gradient, Objective
from .optimizer import Optimizer
from .updates import Pair

__all__ = ["SecondOrder"]


class SecondOrder(Optimizer):
    """What methods share that use Hessian-vector products.

    Parameters
    ----------
    hv : callable, "autograd", "differences" or None
        ``hv(params, vectors, *batch)`` returns the Hessian of the loss times the vectors; vectors and result are in the
        structure of params. "autograd": autograd derives the products from the loss. "differences": they are formed
        from gradients at both sides of the parameters, which takes two more gradients in each step. None: "autograd" if
        autograd derives the gradients, else "differences".
    hv_rng : None, int, SeedSequence, BitGenerator, Generator or RandomState
        Source of the random vectors. Its state is saved with the optimizer.
    **hyper
        As in `Optimizer`.
    """

    _making: ClassVar[tuple[str, ...]] = (*MAKING, "hv", "hv_rng")

    def __init__(
        self,
        loss: Callable[..., Any] | None = None,
        params: Any = None,
        inputs: Sequence[str] | None = None,
        updates: Iterable[Pair] = (),
        monitors: Mapping[str, Monitor] | Iterable[tuple[str, Monitor]] = (),
        monitor_gradients: bool = False,
        *,
        gradient: Gradient = None,
        comm: Any = None,
        reduction: str = "mean",
        hv: HessianProduct = None,
        hv_rng: Any = None,
        **hyper: Unpack[Hyper],
    ) -> None:
        self.hv = hv
        made = loss, params, inputs, updates, monitors, monitor_gradients
        super().__init__(*made, gradient=gradient, comm=comm, reduction=reduction, **hyper)
        self._session.engine.state.random = as_generator(self._session.common_rng(hv_rng))
        self._session.form_products = self._products
        self._curvature: Curvature | None = None
        self._own_names |= {"_hv", "_curvature"}

    @property
    def hv(self) -> HessianProduct:
        """The way to form Hessian-vector products; it can be set to any value that the constructor takes."""
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
        """Draw independent standard normal numbers in the structure of params, with which a step's products are formed.

        Returns
        -------
        array, list or dict of arrays
            Each has the shape and dtype of its parameter and lies where that lies. Those of frozen parameters are 0.

        Examples
        --------
        >>> import numpy as np
        >>> import fastadagrad as fa
        >>> opt = fa.ESGD(params={"w": np.ones((2, 3)), "b": np.ones(3)}, hv_rng=0)
        >>> {name: vectors.shape for name, vectors in opt.draw_vectors().items()}
        {'w': (2, 3), 'b': (3,)}
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
                drawn = random.standard_normal(array.shape, computed_in(array.dtype).type)
                values = np.asarray(drawn, array.dtype)
            vectors.append(params.place.placed(values))
        return vectors

    def _products(self, objective: Objective, arguments: tuple[Any, ...] | None) -> Sequence[Any]:
        """The Hessian of the loss on a batch times newly drawn vectors, one a parameter; without a batch only drawn."""
        session, vectors = self._session, self._drawn()
        if arguments is None:
            return ()
        if self._curvature is None or (self._curvature.objective, self._curvature.hv) != (objective, self.hv):
            self._curvature = Curvature(objective, session.params, self.hv)
        return self._curvature.products(vectors, arguments, session.engine.frozen)

    def step(self, gradients: Any = None, products: Any = None) -> None:
        """One fused update of all parameters, in place.

        Parameters
        ----------
        gradients : arrays, Rows or scipy.sparse matrices in the structure of params, optional
            As in every method.
        products : arrays in the structure of params
            The Hessian times vectors of independent standard normal numbers, such as `draw_vectors` returns. Each has
            the shape and dtype of its parameter and is C-contiguous.

        Raises
        ------
        TypeError, ValueError, IndexError, FloatingPointError
            For a gradient or a product, as every method does for a gradient. Nothing has been changed then.

        Examples
        --------
        >>> import numpy as np
        >>> import fastadagrad as fa
        >>> curvature, w = np.array([4.0, 1.0]), np.ones(2)
        >>> opt = fa.ESGD(params=w, learning_rate=0.5, hv_rng=0)
        >>> opt.step(curvature * w, curvature * opt.draw_vectors())
        >>> bool((w < 1).all())
        True
        """
        if products is None:
            raise TypeError(
                f"{self.rule.name.upper()}.step needs products, too: the Hessian times vectors (see draw_vectors), in "
                "the structure of params; or make the optimizer with a loss, and let iterate or minimize form them"
            )
        session = self._session
        flat = session.filled_buffers() if gradients is None else session.params.flatten(gradients)
        session.step(flat, session.params.flatten(products, "products"), from_outside=True)
