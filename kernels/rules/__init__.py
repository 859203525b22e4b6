"""One file a method: its formula as scalar functions in plain Python, and what a user sets.

A rule is any namespace (a module here, a class for a user's own) with

    name                            how `fastadagrad.build` finds it
    Hyperparameters                 frozen, keyword-only dataclass of what the method adds to the options of all
    Scalars                         named tuple of `COMMON` and the method's own scalars
    scalar_values(hyper, a, t)      values of the method's own scalars in step t, with learning rate a, in float64
    initial(hyper, a)               initial value of each slot; `PARAMETER`: that of the parameter itself
    slots                           their names; of those, with the formula:
    accumulate(p, g, square, own, s) the new slots; square is g*g, its mean over a row or its sum
    scale(own, s)                   the denominator H
    delta(g, H, own, s)             the displacement d, and the slots
    place(g, H, own, s)             in the place of `delta`: the parameter itself

and `TRAITS`. It may have `refusal(hyper)`: why these hyperparameters make no sense, or None. The docstring of the
method's class is made of the rule's own, of what its fields are `documented` with, and of `example`, lines of a doctest
in which numpy is np and fastadagrad fa. A method that measures all parameters together before each step has also

    measured                        names of what is summed over all elements, in float64
    measure(p, g, own, H, ahead, s) an element's part of each; H is its denominator before the step, `ahead` that of it,
                                    and `s` has the method's own scalars of the step before
    learned                         names of the numbers that it keeps from step to step, 0 at first
    learn(hyper, known, sums)       those numbers, by what they were and the sums
    scalar_values(hyper, a, t, *learned)

A method that goes by Hessian-vector products is `fed` them in a slot, which a step fills before the formula is applied.

A method of several forms has `form(hyper)`, the namespace that has the last five for these
hyperparameters; what is measured and learned is the same in all of its forms, and is said of the
rule. The functions see NumPy scalars of the parameter's dtype, or compiled floats: a literal would
widen float32 to float64, so constants come in through `s`. `own` is the tuple of an element's
slots. Beside what `math` has they may call `soft_threshold`. `_template.py` is a rule to copy.
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
    "penalised",  # 1 with l1 or l2, also where the learning rate, and so the two below, are 0
    "l1_step",
    "l2_step",
)

# What a rule or one of its forms may say of itself, and what holds if it does not.
TRAITS: dict[str, Any] = {
    "squares": False,  # the first slot is of squares or sizes: 0 is no metric for penalties, infinity is told of
    "shares": False,  # rows, or all of a parameter, may share the first slot, which is the only one
    "measured": (),
    "learned": (),
    "rests": False,  # a gradient of 0 changes no slot and gives no displacement
    "timed": False,  # scalars change from step to step
    "penalised": True,  # the proximal l1 and l2 are penalties in the metric H
    "rate_divides": False,  # a learning rate of 0 is refused
    "rate_free": False,  # no learning rate has to be chosen
    "takes_rate": True,  # what it does depends on the learning rate
    "fed": "",  # the slot that takes the Hessian-vector product, which is given with each gradient
    "stored": {},  # slots that lie in memory in another dtype than the parameter's: see kernels/memory/storage.py
    "starts": (),  # hyperparameters by which slots begin, beside those that all methods have
    "defaults": {},  # of options, where they are others than those of all methods
    "fixed": {},  # options that make the method what it is: other values of theirs are not taken
}


def documented(default: Any, text: str) -> Any:
    """A field of Hyperparameters with this default, and what it means in sentences."""
    return field(default=default, metadata={"doc": text})


def trait(rule: Any, name: str) -> Any:
    """What a rule, or one of its forms, says of itself by one of the names in `TRAITS`; else what holds for most."""
    return getattr(rule, name, TRAITS[name])


def form_of(rule: Any, hyper: Any) -> Any:
    """The form that a method has under these hyperparameters."""
    return rule.form(hyper) if hasattr(rule, "form") else rule


def places(form: Any) -> bool:
    """Whether the parameter follows from the slots, and not from where it was."""
    return hasattr(form, "place")


def soft_threshold(x: Any, threshold: Any, zero: Any) -> Any:
    """What is left of x, its sign kept, where its size shrinks by a threshold: `zero` where nothing is, NaN of NaN.

    It minimises ``threshold * |p| + (p - x)^2 / 2`` over p. A formula may call it: it is compiled into whatever does.
    """
    size = abs(x) - threshold
    return zero if size <= zero else copysign(size, x)


def share_kept(halflife: float, steps: int = 1) -> float:
    """What a running mean keeps of itself in so many steps, if half of it is left after `halflife` steps."""
    return 2.0 ** (-steps / halflife) if halflife else 0.0


def share_new(halflife: float, steps: int = 1) -> float:
    """The rest, without loss of digits."""
    return -expm1(-log(2) * steps / halflife) if halflife else 1.0
