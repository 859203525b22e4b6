"""Hints for unknown names: the known name that was probably meant, as a misspelling or another library's name for it.

A wrong hint is worse than none. A name counts as a misspelling of another only if each of its words is one, with the
same digits. A single short word counts only if two of its letters are swapped, as "esgd" and "sgd" are two methods. The
name of another library gets a hint only if it means the same here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from .asking import shown

SHORT = 4  # letters; a word of so few is taken for another word if a letter is added, left out or changed


@dataclass(frozen=True)
class Said:
    """A sentence that says how to express here what another library has one name for, and the names it mentions."""

    needs: tuple[str, ...]
    sentence: str


# A name of another library's -> ours, or how to say it, or several of these, of which the first that suits is taken.
Foreign = Mapping[str, str | Said | tuple[str | Said, ...]]

_KEPT_1 = Said(("beta1_halflife",), "it is beta1_halflife here, -log(2)/log(beta1)")
_KEPT_2 = Said(("beta2_halflife",), "it is beta2_halflife here, -log(2)/log(beta2)")
_KEPT = Said(("rms_halflife",), "it is rms_halflife here, -log(2)/log(of what the mean keeps of itself in a step)")
_KEPT_OR_ADDED = Said(
    ("rms_halflife", "rms_regularizer"),
    "it is rms_halflife here for how long the mean remembers, rms_regularizer for what is added to its root",
)
_PENALTY_OR_RATE = Said(
    ("learning_rate", "l2"), "it is learning_rate here if it is the size of a step, l2 if it is the weight of a penalty"
)
_TOGETHER = Said(
    ("max_global_norm", "max_gradient_norm"),
    "it is max_global_norm for all gradients together, max_gradient_norm for each alone",
)

# The names of other libraries are written as `_folded` makes them.
KEYWORDS: Foreign = {
    "lr": "learning_rate",
    "eta": "learning_rate",
    "eta0": "learning_rate",
    "learnrate": "learning_rate",
    "stepsize": "learning_rate",
    "eps": "rms_regularizer",
    "epsilon": "rms_regularizer",
    "initialaccumulator": "initial_accumulator_value",
    "mu": "momentum",
    "usenesterov": "nesterov",
    "decay": "lr_decay",
    "learningratedecay": "lr_decay",
    "gradientclip": "max_gradient_elem",
    "maxgradientclip": "max_gradient_elem",
    "clipvalue": "max_gradient_elem",
    "clipnorm": "max_gradient_norm",
    "globalclipnorm": "max_global_norm",
    "maxgradnorm": _TOGETHER,
    "maxnorm": _TOGETHER,
    "rho": _KEPT,
    "rmsdecay": _KEPT,
    "decayrate": _KEPT,
    "beta1": _KEPT_1,
    "beta2": _KEPT_2,
    "beta": "ftrl_beta",
    "alpha": ("cocob_alpha", _KEPT, _PENALTY_OR_RATE),
    "rms": (_KEPT_OR_ADDED, "rms_regularizer"),
    "betas": Said(
        ("beta1_halflife", "beta2_halflife"),
        "they are beta1_halflife and beta2_halflife here, -log(2)/log(beta) each",
    ),
    "etas": Said(("rprop_increase", "rprop_decrease"), "they are rprop_decrease and rprop_increase here"),
    "stepsizes": Said(("rprop_min_step", "rprop_max_step"), "they are rprop_min_step and rprop_max_step here"),
    "repsrel": "initial_distance",
    "d0": "initial_distance",
    "growthrate": "dadapt_growth",
    "epochs": "max_epochs",
    "numepochs": "max_epochs",
    "nepochs": "max_epochs",
    "maxsteps": "max_updates",
    "stepsperepoch": "train_batches",
    "validationsteps": "valid_batches",
    "randomstate": "rng",
    "seed": "rng",
    "njobs": "threads",
    "numthreads": "threads",
    "nthreads": "threads",
    "parameters": "params",
    "variables": "params",
    "jac": "gradient",
    "hvp": "hv",
    "hessp": "hv",
    "hvmethod": Said(("hv",), "it is hv here: a callable, 'autograd' or 'differences'"),
    "validationdata": "valid",
}

METHODS: Foreign = {
    "gradientdescent": "sgd",
    "stochasticgradientdescent": "sgd",
    "momentum": Said(("sgd",), "it is 'sgd' with momentum="),
    "nesterov": "nag",
    "irprop": "rprop",
    "adamw": Said(("adam",), "it is 'adam' with decoupled_weight_decay="),
    "amsgrad": Said(("adam",), "it is 'adam' with amsgrad=True"),
    "adagradnorm": Said(("adagrad",), "it is 'adagrad' with accumulator='tensor'"),
    "rowwiseadagrad": Said(("adagrad",), "it is 'adagrad' with accumulator='row'"),
    "proximaladagrad": Said(("adagrad",), "it is 'adagrad' with l1= and l2="),
    "ftrlproximal": "ftrl",
    "cocobbackprop": "cocob",
    "dadaptation": "dadapt_adagrad",
    "equilibratedsgd": "esgd",
}

# What `fastadagrad` itself may be asked for. Classes of methods are found by their letters, in whatever case.
PUBLIC: Foreign = {
    "gradientdescent": "SGD",
    "stochasticgradientdescent": "SGD",
    "momentum": Said(("SGD",), "it is SGD(..., momentum=0.9)"),
    "nesterov": "NAG",
    "irprop": "RProp",
    "adamw": Said(("Adam",), "it is Adam(..., decoupled_weight_decay=0.01)"),
    "amsgrad": Said(("Adam",), "it is Adam(..., amsgrad=True)"),
    "adagradnorm": Said(("ADAGRAD",), "it is ADAGRAD(..., accumulator='tensor')"),
    "rowwiseadagrad": Said(("ADAGRAD",), "it is ADAGRAD(..., accumulator='row')"),
    "proximaladagrad": Said(("ADAGRAD",), "it is ADAGRAD(..., l1=..., l2=...)"),
    "ftrlproximal": "FTRL",
    "cocobbackprop": "COCOB",
    "dadaptation": "DAdaptAdaGrad",
    "equilibratedsgd": "ESGD",
    "logisticregression": Said(("LinearModel",), "it is LinearModel('logistic')"),
    "linearregression": Said(("LinearModel",), "it is LinearModel('squared')"),
    "linearsvc": Said(("LinearModel",), "it is LinearModel('hinge')"),
    "sgdclassifier": "LinearModel",
    "sgdregressor": "LinearModel",
    "dataloader": "Dataset",
    "lrfinder": "find_learning_rate",
    "fmin": "minimize",
    "minimise": "minimize",
    "optimize": "minimize",
}


# Names that mean another keyword in linear models, or in Datasets, than in optimizers.
LINEAR_MODELS: Foreign = {
    **KEYWORDS,
    "rng": "seed",
    "randomstate": "seed",
    "maxiter": "max_epochs",
    "passes": "max_epochs",
    "niternochange": "patience",
    "fitintercept": "intercept",
    "validationfraction": "validation",
    "validationsplit": "validation",
    "validationdata": "validation",
    "lossfunction": "loss",
    "bitprecision": "hash_bits",
    "penalty": Said(("l1", "l2"), "it is l1 or l2 here, or both, each with its strength"),
    "alpha": Said(("l2", "l1"), "it is l2 here, or l1, by the penalty"),
    "c": Said(("l2",), "it is l2 here, 1/(C*n) for n examples"),
    "tol": Said(("min_improvement",), "it is min_improvement here, relative to the loss"),
    "normalize": Said(("scale",), "it is scale here: 'standard', 'maxabs' or 'none'"),
    "standardize": Said(("scale",), "it is scale here: 'standard', 'maxabs' or 'none'"),
}
DATASETS: Foreign = {
    **KEYWORDS,
    "stepsperepoch": "iteration_size",
    "trainbatches": "iteration_size",
    "validbatches": "iteration_size",
}


class Meant(NamedTuple):
    """What was probably meant: a known name, and a sentence for the message."""

    name: str | None
    sentence: str
    needs: tuple[str, ...] = ()


def hint(name: object, known: Iterable[str], foreign: Foreign | None = None) -> str | None:
    """A sentence that says what to use instead of `name`, which is not known; None if that is not clear.

    Examples
    --------
    >>> hint("learning_rat", ["learning_rate", "momentum"])
    "did you mean 'learning_rate'?"
    >>> hint("eps", ["learning_rate", "rms_regularizer"], KEYWORDS)
    "did you mean 'rms_regularizer'?"
    >>> hint("beta1_decay", ["weight_decay", "beta1_halflife"], KEYWORDS)
    """
    found = meant_by(name, known, foreign)
    return None if found is None else found.sentence


def meant_by(name: object, known: Iterable[str], foreign: Foreign | None = None) -> Meant | None:
    """What `name`, which is not known, probably means, for callers that word their own sentence; None if not clear.

    Examples
    --------
    >>> meant_by("eps", ["learning_rate", "rms_regularizer"], KEYWORDS).name
    'rms_regularizer'
    """
    known, name = list(known), name if isinstance(name, str) else shown(name)
    folded = _folded(name)
    alike = [other for other in known if _folded(other) == folded]
    if not alike and folded in (foreign or {}):
        suiting = [each for each in _translations(name, foreign) if all(need in known for need in needs_of(each))]
        if not suiting:
            return None
        meant = suiting[0]
        if isinstance(meant, Said):
            return Meant(None, meant.sentence, meant.needs)
        alike = [meant]
    elif not alike:
        alike = sorted((other for other in known if _is_slip(name, other)), key=lambda other: _changes(name, other))
    return Meant(alike[0], f"did you mean {alike[0]!r}?") if alike else None


def _translations(name: str, foreign: Foreign | None) -> tuple[str | Said, ...]:
    """What a name of another library's may mean."""
    meant = (foreign or {}).get(_folded(name), ())
    return meant if isinstance(meant, tuple) else (meant,)


def needs_of(meant: str | Said) -> tuple[str, ...]:
    """The names of ours that a translation is made of."""
    return meant.needs if isinstance(meant, Said) else (meant,)


def ours_for(name: object, foreign: Foreign = KEYWORDS) -> list[tuple[str, ...]]:
    """Names of ours that one of another library's stands for, whoever has them; each way in which it may be meant.

    Examples
    --------
    >>> ours_for("betas")
    [('beta1_halflife', 'beta2_halflife')]
    >>> ours_for("nothing_known")
    []
    """
    return [needs_of(each) for each in _translations(str(name), foreign)]


def _folded(name: str) -> str:
    """A name in lower case without the characters that separate words."""
    return re.sub(r"[\W_]", "", name.lower())


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W_]+", name.lower())


def _is_slip(name: str, other: str) -> bool:
    """Whether somebody who meant `other` may have written `name`."""
    if re.findall(r"\d", name) != re.findall(r"\d", other):
        return False
    ours, theirs = _words(name), _words(other)
    if len(ours) != len(theirs):  # a separator of words may have been forgotten or added
        ours, theirs = [_folded(name)], [_folded(other)]
    different = [(a, b) for a, b in zip(ours, theirs, strict=True) if a != b]
    if len(different) == 1 < len(ours):  # the other words are right, so that one letter may differ in a short word, too
        a, b = different[0]
        return _is_slip_of_word(a, b) or (min(len(a), len(b)) > 2 and _changes(a, b) == 1)
    return all(_is_slip_of_word(a, b) for a, b in different)


def _is_slip_of_word(a: str, b: str) -> bool:
    if a == b + "s" or b == a + "s":
        return True
    if min(len(a), len(b)) <= SHORT:
        return len(a) == len(b) and sorted(a) == sorted(b) and _changes(a, b) == 1
    return _changes(a, b) <= (1 if min(len(a), len(b)) < 7 else 2)


def _changes(a: str, b: str) -> int:
    """The fewest letters to add, leave out, change, or swap with the next one, to make `b` from `a`."""
    before, row = [0] * (len(b) + 1), list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        older, before, row = before, row, [i]
        for j, y in enumerate(b, 1):
            least = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                least = min(least, older[j - 2] + 1)
            row.append(least)
    return row[-1]
