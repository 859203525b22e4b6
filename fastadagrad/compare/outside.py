"""Contenders that are not of this library: those of torch, optax and SciPy, and classes of the user's.

``torch:Adagrad``
    A class of `torch.optim` that steps by gradients. It works on the parameters' own memory, on the CPU.
``optax:adagrad``
    A function of `optax` (``optax:contrib.dog`` of its submodule) that makes a gradient transformation. Its update is
    compiled by JAX.
``scipy:L-BFGS-B``
    A method of `scipy.optimize.minimize` that goes by gradients; see `ByEvaluations`.
``module:Class``, or the class itself
    ``Class(params, learning_rate=..., **options)`` makes an optimizer of a list of arrays, and ``step(gradients)``
    updates these arrays in place; a run at whose end they are as at its start has failed. A class whose constructor has
    no `learning_rate` needs none, and runs once a seed.

Options are written behind another colon, as in ``torch:SGD:momentum=0.9,nesterov=true``. A learning rate among them is
kept, so that the method runs once a seed.

The rules are the same for all: the same start values, losses, gradients, batches and epochs, and one thread. Gradients
come from the same function, are dense, and those that are not finite end the run as diverged.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from ..optimizer.adaptive import SGD
from ..optimizer.methods import METHODS
from ..support.extras import needed
from ..support.hints import hint
from .contenders import FRAMEWORKS, Contender, parsed_options
from .evaluations import METHODS as SCIPY_METHODS
from .evaluations import ByEvaluations
from .named_objects import imported, source_digest
from .training import SteppingTrainer, Trainer, as_dense

Arrays = list[Any]
Step = Callable[[Arrays], object]
BytesHeld = Callable[[], float | None]  # of a method's state; None where they are not known
Make = Callable[[Arrays], tuple[Step, BytesHeld]]
RATES = {"torch": "lr", "optax": "learning_rate", "": "learning_rate"}  # what a framework calls the learning rate
RATE_OF_COSTS = 0.01  # with which a step is timed


@dataclass(frozen=True)
class OutsideContender(Contender):
    """A method of another framework, or a class of the user's.

    `name` is what the framework calls the method; of the user's class it is the module and the name.
    """

    framework: str = ""  # "torch", "optax" or "scipy"; "" for a class of the user's
    takes_rate: bool = True
    made: type | None = field(default=None, compare=False)  # the user's class, if it was given itself and not its name

    @property
    def unlike_paper(self) -> tuple[str, ...]:
        """Nothing is known of the papers of these methods."""
        return ()

    @property
    def rate_free(self) -> bool:
        """Whether the method runs once a seed, because it takes no learning rate or has one among its options."""
        return not self.takes_rate or RATES.get(self.framework) in self.options

    @property
    def has_lazy(self) -> bool:
        """False: all of these get dense gradients."""
        return False

    def build(self, loss: Any, params: Any, rate: float | None, lazy: str) -> Trainer:
        """What trains the parameters by this method; if `rate` is None, one that takes a rate has RATE_OF_COSTS."""
        if self.framework == "scipy":
            return ByEvaluations(loss, params, self.name, self.options)
        options = dict(self.options)
        if not self.rate_free:
            options[RATES[self.framework]] = RATE_OF_COSTS if rate is None else rate
        return Outside(loss, params, lambda arrays: self._made_for(arrays, options), is_users=not self.framework)

    def _made_for(self, arrays: Arrays, options: Mapping[str, Any]) -> tuple[Step, BytesHeld]:
        if self.framework == "torch":
            return _torch(self.name, arrays, options)
        if self.framework == "optax":
            return _optax(self.name, arrays, options)
        return _users(self.made or _named_class(self.label, self.name), arrays, options)


class Outside(SteppingTrainer):
    """Parameters that another framework's method trains, with losses and gradients as the methods here have them.

    Parameters
    ----------
    loss : callable
        See `Task`.
    params : ndarray, list or dict of ndarray
        Updated in place.
    make : callable
        ``make(arrays)`` returns ``step(gradients)``, which updates the arrays in place, and a function that returns the
        bytes of the method's state, or None if they are not known.
    is_users : bool
        Whether the step is of a class of the user's, of which it is to be seen that it does change the parameters.
    """

    def __init__(self, loss: Any, params: Any, make: Make, is_users: bool = False) -> None:
        super().__init__(SGD(loss, params, threads=1))
        self._arrays: Arrays = [*self.optimizer.params.values()]
        self._start = [np.array(array) for array in self._arrays]
        self._make = make
        self._is_users = is_users
        self._pulled = False  # whether a gradient was not 0
        self.step, self._bytes_held = make([*self._arrays])

    def train_on(self, batch: Any) -> Mapping[str, float]:
        loss, gradients = self._loss_and_gradients(batch)
        if np.isfinite(loss):
            if not all(np.isfinite(gradient).all() for gradient in gradients):
                raise FloatingPointError("a gradient is not finite")
            self._pulled = self._pulled or any(gradient.any() for gradient in gradients)
            self.step(gradients)
        return {"loss": loss}

    def has_trained(self) -> bool:
        """Whether the parameters have changed; True also for other frameworks, and where all gradients were 0."""
        arrays = zip(self.optimizer.params.values(), self._start, strict=True)
        return not (self._is_users and self._pulled) or any(not np.array_equal(array, start) for array, start in arrays)

    def arguments_of_step(self, batch: Any) -> list[Any]:
        return [self._loss_and_gradients(batch)[1]]

    def restart(self) -> None:
        for array, start in zip(self._arrays, self._start, strict=True):
            array[...] = start
        self.step, self._bytes_held = self._make([*self._arrays])

    def state_bytes(self) -> float | None:
        held = self._bytes_held()
        return None if held is None else held / sum(array.size for array in self._arrays)

    def _loss_and_gradients(self, batch: Any) -> tuple[float, Arrays]:
        """The loss of a batch, and an array of gradients for each parameter."""
        loss, gradients = self._session.objective.value_and_gradients(self._arguments(batch))
        return loss, as_dense(gradients, self._arrays)


def outside_contender(spec: str | type) -> OutsideContender:
    """The contender of ``torch:NAME``, ``optax:NAME``, ``scipy:NAME``, ``module:Class`` or a class; see above."""
    if isinstance(spec, type):
        return _contender_of_class(spec.__name__, f"{spec.__module__}:{spec.__qualname__}", spec, {}, made=spec)
    before, _, rest = spec.partition(":")
    name, _, text = rest.partition(":")
    before, name = before.strip(), name.strip()
    if not name:
        raise ValueError(f"method {spec!r} lacks a name behind the colon, as in torch:Adagrad or scipy:L-BFGS-B")
    options = parsed_options(spec, [part.strip() for part in text.split(",") if part.strip()], ("threads",))
    if before == "scipy":
        return OutsideContender(spec, _of_scipy(spec, name), options, _version("scipy"), "scipy", takes_rate=False)
    if before in ("torch", "optax"):
        make = _of_torch(spec, name) if before == "torch" else _of_optax(spec, name)
        _refuse_options(spec, make, options)
        takes_rate = RATES[before] in _parameters(make)
        return OutsideContender(spec, name, options, _version(before), before, takes_rate)
    users = f"{before}:{name}"
    return _contender_of_class(spec, users, _named_class(spec, users), options)


def _contender_of_class(
    label: str, name: str, users: type, options: Mapping[str, Any], made: type | None = None
) -> OutsideContender:
    _refuse_no_step(label, users)
    _refuse_options(label, users, options)
    takes_rate, identity = "learning_rate" in _parameters(users), source_digest(users.__module__)
    return OutsideContender(label, name, options, identity, "", takes_rate, made)


def _of_scipy(spec: str, name: str) -> str:
    """The name of a method as SciPy spells it."""
    needed("scipy.optimize", f"method {spec!r}")
    known = {each.lower(): each for each in SCIPY_METHODS}
    if name.lower() not in known:
        expected = f"expected one that goes by gradients: {', '.join(SCIPY_METHODS)}"
        raise ValueError(f"method {spec!r}: {hint(name, SCIPY_METHODS) or expected}")
    return known[name.lower()]


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return package


def _parameters(made: Any) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(made).parameters
    except (TypeError, ValueError):
        return {}


def _refuse_options(spec: str, made: Any, options: Mapping[str, Any]) -> None:
    known = _parameters(made)
    if not known or any(each.kind is each.VAR_KEYWORD for each in known.values()):
        return
    for option in options:
        if option not in known:
            expected = f"known are {', '.join([*known][1:])}"
            raise TypeError(f"method {spec!r}: unknown option {option!r}: {hint(option, known) or expected}")


def _refuse_no_step(spec: str, made: Any) -> None:
    if not (isinstance(made, type) and callable(getattr(made, "step", None))):
        raise TypeError(f"method {spec!r} must be a class with a method step(gradients), not {made!r}")


def _named_class(spec: str, name: str) -> Any:
    """The user's class of ``module:Class``."""
    meant = hint(name.partition(":")[0], [*METHODS, *FRAMEWORKS])
    return imported(f"method {spec!r}", name, meant or "")


def _users(made: Any, arrays: Arrays, options: Mapping[str, Any]) -> tuple[Step, BytesHeld]:
    own = made(arrays, **options).step

    def step(gradients: Arrays) -> None:
        if isinstance(own(gradients), list | tuple | np.ndarray):
            raise TypeError(
                f"step of {made.__name__} returns arrays; it must update those that it was made with in place"
            )

    return step, lambda: None


def _of_torch(spec: str, name: str) -> Any:
    optim = needed("torch.optim", f"method {spec!r}")
    made = getattr(optim, name, None)
    if not (isinstance(made, type) and issubclass(made, optim.Optimizer)) or made is optim.Optimizer:
        names = [each for each, kind in vars(optim).items() if isinstance(kind, type)]
        raise ValueError(f"method {spec!r}: {hint(name, names) or f'torch.optim has no optimizer {name!r}'}")
    if name == "LBFGS":
        raise ValueError(f"method {spec!r} evaluates the loss many times in each step: use scipy:L-BFGS-B")
    if name == "SparseAdam":
        raise ValueError(f"method {spec!r} takes sparse gradients only, and all methods get the same: use torch:Adam")
    return made


def _torch(name: str, arrays: Arrays, options: Mapping[str, Any]) -> tuple[Step, BytesHeld]:
    torch = needed("torch", f"method torch:{name}")
    tensors = [torch.from_numpy(array) for array in arrays]  # share the arrays' memory
    optimizer = _of_torch(f"torch:{name}", name)(tensors, **options)

    def step(gradients: Arrays) -> None:
        for tensor, gradient in zip(tensors, gradients, strict=True):
            tensor.grad = torch.from_numpy(gradient)
        optimizer.step()

    def held() -> int:
        kept = (value for slots in optimizer.state.values() for value in slots.values())
        return sum(value.nbytes for value in kept if torch.is_tensor(value) and value.ndim)

    return step, held


def _of_optax(spec: str, name: str) -> Any:
    found: Any = needed("optax", f"method {spec!r}")
    for part in name.split("."):
        if part == "contrib":
            found = needed("optax.contrib", f"method {spec!r}")
        elif not hasattr(found, part):
            raise ValueError(f"method {spec!r}: {hint(part, dir(found)) or f'optax has no {name!r}'}")
        else:
            found = getattr(found, part)
    if not callable(found):
        raise TypeError(f"method {spec!r} must be a function of optax that makes a transformation, not {found!r}")
    return found


def _optax(name: str, arrays: Arrays, options: Mapping[str, Any]) -> tuple[Step, BytesHeld]:
    jax = needed("jax", f"method optax:{name}")
    optax = needed("optax", f"method optax:{name}")
    doubles = any(array.dtype == np.float64 for array in arrays)
    wide = jax.enable_x64 if hasattr(jax, "enable_x64") else needed("jax.experimental", "float64").enable_x64
    cpu = jax.devices("cpu")[0]
    with wide(doubles), jax.default_device(cpu):
        transform = optax.with_extra_args_support(_of_optax(f"optax:{name}", name)(**options))
        state = [transform.init([jax.numpy.asarray(array) for array in arrays])]

        @jax.jit  # type: ignore[untyped-decorator]
        def updated(gradients: Any, state: Any, params: Any) -> Any:
            updates, state = transform.update(gradients, state, params)
            return optax.apply_updates(params, updates), state

        start = [np.array(array) for array in arrays]
        updated([np.zeros_like(array) for array in arrays], state[0], start)  # compiles it, before a run is timed

    def step(gradients: Arrays) -> None:
        with wide(doubles), jax.default_device(cpu):
            found, state[0] = updated(gradients, state[0], [np.array(array) for array in arrays])
        for array, new in zip(arrays, found, strict=True):
            array[...] = new

    def held() -> int:
        return sum(leaf.nbytes for leaf in jax.tree_util.tree_leaves(state[0]) if getattr(leaf, "ndim", 0))

    return step, held
