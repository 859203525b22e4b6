"""What of wild values is not given, as it would take all the time or memory that there is."""

import numpy as np

# Arguments that say how long something lasts, or how much memory it takes: of numbers only small ones are tried.
BUDGETS = {"max_epochs", "max_updates", "epochs", "seeds", "max_iter", "maxiter", "steps", "n_features", "hash_bits"}
BUDGETS |= {"n_iter_no_change", "patience", "train_batches", "valid_batches", "iteration_size", "rates", "jobs", "ndim"}
BUDGETS |= {"train", "valid", "dataset", "data", "inputs", "progress", "updates"}
# Of these, a number that no machine can count to is refused at once, and is tried.
COUNTABLE = {"iteration_size", "ndim", "steps", "hash_bits"}


def tamed(name, value):
    """A wild value that does not take all the time or memory that there is: such are the user's to give."""
    value = _bounded(name, value)
    return 2 if value is None and name in ("max_updates", "max_epochs") else value  # None is no limit


def _bounded(name, value):
    """The value, or what stands for it; None if it is not given."""
    if type(value) is np.ndarray and value.size > 1e6:  # of one number, repeated so often that a pass takes years
        return None
    if name not in BUDGETS:
        return value
    if issubclass(type(value), np.ndarray):
        return value if type(value).size is np.ndarray.size and value.size < 100 else None
    if issubclass(type(value), int | float | np.number):
        try:
            return value if value < 4 or (name in COUNTABLE and value >= 2**63) else 2
        except (TypeError, ValueError):
            return value
    plain = issubclass(type(value), str | bytes | list | tuple | dict | set | type(None))
    if name == "hash_bits" or name in ("jobs", "seeds", "epochs"):
        return value if plain else None
    return (
        None if "iter" in type(value).__name__ or type(value).__name__ in ("range", "Changing", "generator") else value
    )
