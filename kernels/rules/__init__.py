"""Rules: one file a method, with the formula as functions of one element in plain Python, and the hyperparameters.

A rule is any namespace (a module of this folder, or a class or module of a user's) with

    name                            how `fastadagrad.build` finds it
    Hyperparameters                 frozen, keyword-only dataclass of what the method adds to the options of all
    Scalars                         named tuple of `COMMON` and the method's own scalars
    scalar_values(hyper, a, t)      values of the method's own scalars in step t, with learning rate a, in float64
    initial(hyper, a)               initial value of each slot; `PARAMETER`: that of the parameter itself
    slots                           names of the slots; and the functions of the formula:
    accumulate(p, g, square, own, s) the new slots; square is g*g, its mean over a row or its sum
    scale(own, s)                   the denominator H
    delta(g, H, own, s)             the displacement d, and the slots
    place(g, H, own, s)             in the place of `delta`: the parameter itself

and those of the `TRAITS` whose defaults do not fit. It may have `refusal(hyper)`: why these hyperparameters make no
sense, or None. The docstring of the method's class is put together from the rule's docstring, from the texts that
fields are `documented` with, and from `example`, lines of a doctest in which numpy is np and fastadagrad fa. A method
that measures all parameters together before each step has also

    measured                        names of the sums over all elements, in float64
    measure(p, g, own, H, ahead, s) an element's part of each sum; H is its denominator before the step, `ahead` the
                                    denominator in it, and `s` has the method's own scalars of the step before
    learned                         names of the numbers that it keeps from step to step, 0 at first
    learn(hyper, known, sums)       those numbers, by what they were and the sums
    scalar_values(hyper, a, t, *learned)

A method that needs Hessian-vector products names a slot in its trait `fed`; a step copies the product into this slot
before the formula is applied.

A method whose slots or formula depend on hyperparameters has `form(hyper)`, which returns the namespace with slots,
functions and traits for these hyperparameters. `measured` and `learned` are the same in all forms of a method, and
stand in the rule. The functions of a formula see NumPy scalars of the parameter's dtype, or compiled floats. A literal
would widen float32 to float64, so constants come in through `s`. `own` is the tuple of an element's slots. The
functions may call those of `math`, and `soft_threshold`. `_template.py` is a rule to copy.
"""

from dataclasses import field
from math import copysign, expm1, log
from typing import Any

PARAMETER = "parameter"
MOST_SLOTS = 6  # with the velocity

COMMON = (
    "zero",
    "one",
    "learning_rate",
    "momentum",
    "gradient_scale",
    "clip",
    "weight_decay",
    "keep",
    "penalised",  # 1 with l1 or l2, also where l1_step and l2_step are 0 because the learning rate is 0
    "l1_step",
    "l2_step",
)

# Traits that a rule or one of its forms may have, and the values that hold if it does not set them.
TRAITS: dict[str, Any] = {
    "squares": False,  # the first slot has squares or sizes: no penalty where it is 0, a warning where it is infinite
    "shares": False,  # rows, or all of a parameter, may share the first slot, and there is no other slot
    "measured": (),
    "learned": (),
    "rests": False,  # a gradient of 0 changes no slot and gives no displacement
    "timed": False,  # scalars change from step to step
    "penalised": True,  # the proximal l1 and l2 are penalties in the metric H
    "rate_divides": False,  # the formula divides by the learning rate: 0 is refused
    "rate_free": False,  # no learning rate has to be chosen
    "takes_rate": True,  # the step depends on the learning rate
    "along_gradient": False,  # d is learning_rate times g, divided by an H to which the rate is of no account
    "fed": "",  # the slot that takes the Hessian-vector product, which is given with each gradient
    "stored": {},  # slots that lie in memory in another dtype than the parameter's: see kernels/memory/storage.py
    "starts": (),  # hyperparameters that set the initial values of slots
    "defaults": {},  # defaults of options of all methods, where the method has others
    "fixed": {},  # options of all methods with the only value that this method takes
}


def documented(default: Any, text: str) -> Any:
    """A field of Hyperparameters with this default, and with the text that says in the docstring what it means."""
    return field(default=default, metadata={"doc": text})


def trait(rule: Any, name: str) -> Any:
    """What a rule, or one of its forms, says of itself by one of the names in `TRAITS`; else what holds for most."""
    return getattr(rule, name, TRAITS[name])


def form_of(rule: Any, hyper: Any) -> Any:
    """The form that a method has under these hyperparameters."""
    return rule.form(hyper) if hasattr(rule, "form") else rule


def places(form: Any) -> bool:
    """Whether a rule computes a parameter from its slots (`place`), and not by moving it (`delta`)."""
    return hasattr(form, "place")


def soft_threshold(x: Any, threshold: Any, zero: Any) -> Any:
    """The number x, its size reduced by a threshold and its sign kept; `zero` if the size is no larger, NaN of NaN.

    It minimises ``threshold * |p| + (p - x)^2 / 2`` over p. Formulas of rules may call it.
    """
    size = abs(x) - threshold
    return zero if size <= zero else copysign(size, x)


def share_kept(halflife: float, steps: int = 1) -> float:
    """The share of a running mean that is left after `steps` steps, if half of it is left after `halflife` steps."""
    return 2.0 ** (-steps / halflife) if halflife else 0.0


def share_new(halflife: float, steps: int = 1) -> float:
    """1 - share_kept(halflife, steps), computed without the loss of digits of that difference."""
    return -expm1(-log(2) * steps / halflife) if halflife else 1.0
