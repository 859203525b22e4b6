"""Checks of an estimator's parameters, which also make of them the parameters of a linear model.

What a linear model refuses is told in the estimator's own words, with the names and values that its user has given.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from ..engine.options import Conduct, Rule, Settings, refusals_of
from ..kernels.linear.losses import OPTIONS
from ..kernels.rules import form_of
from ..linear import arguments
from ..linear.fitting import of_one_part
from ..linear.methods import own_hyper, rule_for, takers_of
from ..support.asking import OF_ARGUMENTS, asking, shown
from ..support.checks import checked_number, checked_share, one_of, whole_number
from ..support.hints import KEYWORDS, hint

DECAYS = ("weight_decay", "decoupled_weight_decay")
OWN_L1 = "rda_l1"  # of dual averaging, which has the same penalty in the formula itself
PENALTIES = (None, "l1", "l2", "elasticnet")
LARGEST_SEED = 2**32 - 1  # that a RandomState takes

# Parameters of a linear model, by the names that they have in an estimator.
OURS = {
    "max_epochs": "max_iter",
    "patience": "n_iter_no_change",
    "min_improvement": "tol",
    "intercept": "fit_intercept",
    "validation": "validation_fraction",
    "seed": "random_state",
}
ELSEWHERE = {
    **{theirs: f"it is {ours} of the estimator" for theirs, ours in OURS.items()},
    "l1": "set penalty='l1' and alpha",
    "l2": "set penalty='l2' and alpha",
    "dtype": "the estimator takes that of X",
    "hash_bits": "FeatureHasher of sklearn.feature_extraction hashes columns",
}
_QUOTED = r"""(?<!\w)'(?:[^'\\]|\\.)*'(?!\w)|"[^"]*\""""
_SENTENCES = (
    (r"hash columns into fewer with hash_bits=\d+ \(fit --hash-bits \d+\)", ELSEWHERE["hash_bits"]),
    (r"give the examples for validation themselves, as \(X, y\)", "use early_stopping=False"),
    (r"\bl[12]_step\b", "learning_rate * alpha"),
    (r"^threshold is (.+?) in ", r"alpha makes a threshold of \1 in "),
    (r", or l2 or decoupled_weight_decay instead", ", or penalty='l2' or decoupled_weight_decay instead"),
)


class Checked(NamedTuple):
    """Checked parameters of an estimator, as linear models take them."""

    parameters: dict[str, Any]
    settings: Settings
    conduct: Conduct


def checked(estimator: Any, loss: str, dtype: Any, seed: int, *, once: bool = False) -> Checked:
    """Check parameters for a fit or, with `once`, for the single epoch of a `partial_fit`."""
    with in_own_words(estimator):
        return _checked(estimator, loss, dtype, seed, once)


def _checked(estimator: Any, loss: str, dtype: Any, seed: int, once: bool) -> Checked:
    epochs = None if estimator.max_iter is None else whole_number("max_iter", estimator.max_iter, 1)
    if once and isinstance(estimator.learning_rate, str) and estimator.learning_rate == "auto":
        raise ValueError("learning_rate='auto' tries rates on all of the examples: give partial_fit a number")
    share = checked_share("validation_fraction", estimator.validation_fraction)
    stops = truth(estimator, "early_stopping")
    for name in ("warm_start", "nesterov", "shuffle"):
        truth(estimator, name)
    _check_jobs(estimator.n_jobs)
    options = {name: _option(estimator, name, loss) for name in OPTIONS}
    rule = rule_for(estimator.method)
    penalties = _penalties(estimator, rule)
    parameters = {
        "loss": loss,
        "method": estimator.method,
        "learning_rate": estimator.learning_rate,
        "momentum": estimator.momentum,
        "nesterov": estimator.nesterov,
        **options,
        "batch_size": estimator.batch_size,
        "max_epochs": epochs,
        "patience": whole_number("n_iter_no_change", estimator.n_iter_no_change, 0),
        "min_improvement": checked_number("tol", estimator.tol),
        "intercept": truth(estimator, "fit_intercept"),
        "scale": estimator.scale,
        "validation": share if stops and not once else 0.0,
        "shuffle": estimator.shuffle,
        "seed": seed,
        "dtype": dtype,
        "lazy": estimator.lazy,
        "average": estimator.average,
        "implicit": estimator.implicit,
        "warm_start": True,
        "hash_bits": None,
        **{name: value for name, value in penalties.items() if name != OWN_L1},
    }
    more = _method_params(estimator, rule)
    if OWN_L1 in penalties and OWN_L1 in more:
        raise ValueError(f"method_params has {OWN_L1!r}, which penalty={estimator.penalty!r} sets to alpha: drop one")
    own = {name: value for name, value in (penalties | more).items() if name not in (*DECAYS, "l1", "l2")}
    parameters |= {name: more.get(name, 0.0) for name in DECAYS}
    found = Checked(*arguments.check(arguments.refuse_unknown(parameters, own)))
    if not once:
        return found
    states = getattr(estimator, "_states", None) or [None]  # those of training before, of which each has one
    return found._replace(parameters=of_one_part(found.parameters, found.settings, states[0]))


def truth(estimator: Any, name: str) -> bool:
    """A parameter that is True or False."""
    value = getattr(estimator, name)
    with asking(name, value):
        if not isinstance(value, bool | np.bool):
            raise TypeError(f"{name} must be True or False, not {shown(value)}")
        return bool(value)


def seed_of(random_state: Any) -> int:
    """The seed that a `random_state` gives; an int is its own seed.

    Raises
    ------
    ValueError
        If it is nothing that scikit-learn's `check_random_state` takes.
    """
    with asking("random_state", random_state):
        whole = isinstance(random_state, int | np.integer)
        try:
            drawn = check_random_state(random_state)
        except (ValueError, TypeError):
            raise ValueError(
                f"random_state must be an int from 0 to {LARGEST_SEED}, a RandomState or None, not "
                f"{shown(random_state)}"
            ) from None
        return int(random_state) if whole else int(drawn.randint(2**31 - 1))


def _check_jobs(n_jobs: Any) -> None:
    if n_jobs is not None and whole_number("n_jobs", n_jobs) == 0:
        raise ValueError("n_jobs must be None or a whole number other than 0, not 0")


def _option(estimator: Any, name: str, loss: str) -> float:
    """The option of a loss: checked if the estimator has it, and its default unless it is for this loss."""
    its_loss, option = OPTIONS[name]
    value = getattr(estimator, name, option.default)
    number = checked_number(name, value)
    if not option.above < number < option.below:
        raise ValueError(
            f"{name} must be between {option.above:g} and {option.below:g}, and neither, not {shown(value)}"
        )
    return number if loss == its_loss else option.default


def _penalties(estimator: Any, rule: Rule) -> dict[str, float]:
    """Strengths of l1 and l2, by the names of a linear model's parameters."""
    penalty = one_of("penalty", estimator.penalty, PENALTIES)
    alpha, ratio = checked_number("alpha", estimator.alpha), checked_number("l1_ratio", estimator.l1_ratio)
    if ratio > 1:
        raise ValueError(f"l1_ratio must be at most 1, not {ratio:g}: it is the share of l1 in the penalty")
    share = {None: 0.0, "l1": 1.0, "l2": 0.0, "elasticnet": ratio}[penalty]
    l1, l2 = (0.0, 0.0) if penalty is None else (alpha * share, alpha * (1.0 - share))
    in_formula = l1 > 0 and OWN_L1 in own_hyper(rule)
    found = {"l1": 0.0, "l2": l2, OWN_L1: l1} if in_formula else {"l1": l1, "l2": l2}
    if found["l1"] or found["l2"]:
        _check_penalty(estimator, rule)
    return found


def _check_penalty(estimator: Any, rule: Rule) -> None:
    """Refuse a proximal penalty where the method, or momentum, leaves no sense in it."""
    given = f"penalty={shown(estimator.penalty)}"
    if any({"l1", "l2"} & {*names} for names, _ in refusals_of(form_of(rule, rule.Hyperparameters()))):
        takes = [name for name in own_hyper(rule) if name.endswith(("_l1", "_l2"))]
        if takes == [OWN_L1]:
            instead = "whose only penalty is l1: use penalty='l1'"
        elif takes:
            instead = f"which has penalties of its own: use penalty=None, and {' or '.join(takes)} in method_params"
        else:
            instead = "whose steps have no metric for it: use penalty=None, or weight_decay in method_params"
        raise ValueError(f"{given} does not go with method={shown(estimator.method)}, {instead}")
    if checked_number("momentum", estimator.momentum):
        raise ValueError(
            f"{given} cannot be combined with momentum={shown(estimator.momentum)}: a velocity would carry weights out "
            "of the zeros that the penalty sets; use momentum=0, or penalty=None with "
            "method_params={'weight_decay': ...}"
        )


def _method_params(estimator: Any, rule: Rule) -> dict[str, Any]:
    """The hyperparameters of the method alone, of which none is unknown or a parameter of the estimator."""
    with asking("method_params", estimator.method_params):
        given = {} if estimator.method_params is None else estimator.method_params
        if not isinstance(given, Mapping):
            raise TypeError(f"method_params must be a dict of hyperparameters, or None, not {shown(given)}")
        given = dict(given)
        _refuse_unknown(estimator, rule, given)
        return given


def _refuse_unknown(estimator: Any, rule: Rule, given: Collection[Any]) -> None:
    own = own_hyper(rule)
    known = [*own, *DECAYS]
    for name in given:
        if name in known:
            continue
        if name in estimator.get_params(deep=False):
            raise ValueError(f"method_params has {shown(name)}, a parameter of the estimator itself: set it there")
        meant = ELSEWHERE.get(name) or hint(name, known, KEYWORDS) or _of_others(name, rule)
        meant = meant or f"method {rule.name!r} has {', '.join(known)}"
        raise ValueError(f"method_params has no {shown(name)}: {meant}")


def _of_others(name: Any, rule: Rule) -> str | None:
    if not (isinstance(name, str) and takers_of(name)):
        return None
    return arguments.of_others(name, rule)


@contextmanager
def in_own_words(estimator: Any) -> Iterator[None]:
    """Tell what a linear model refuses with the names that its parameters have in the estimator."""
    try:
        yield
    except (TypeError, ValueError) as error:
        text = _in_own_words(str(error), _names_of(estimator.method_params))
        if text == str(error):
            raise
        raise type(error)(text) from None


def _names_of(method_params: Any) -> list[str]:
    with suppress(*OF_ARGUMENTS):  # what cannot be read has been refused
        if isinstance(method_params, Mapping):
            return [each for each in method_params if isinstance(each, str)]
    return []


def _in_own_words(text: str, own: Collection[str]) -> str:
    """A message in the names of the estimator; what is in quotes is a value, and stays."""
    for sentence, ours in _SENTENCES:
        text = re.sub(sentence, ours, text)
    names = rf"\b(?:{'|'.join(OURS)})\b(?= must |=| is '| ')"
    if own:
        names += rf"|\b(?:{'|'.join(map(re.escape, own))})\b"

    def ours_for(match: re.Match[str]) -> str:
        word = match[0]
        return OURS.get(word) or (f"method_params[{word!r}]" if word in own else word)

    return re.sub(rf"{_QUOTED}|{names}", ours_for, text)
