"""One file a method: its formula as scalar functions in plain Python, and what a user sets.

A rule is any namespace (a module here, a class for a user's own) with

    name                     how `fastadagrad.build` finds it
    Hyperparameters          frozen, keyword-only dataclass of what the method adds to `COMMON`'s options
    Scalars                  named tuple of `COMMON` and the method's own scalars
    scalar_values(hyper)     values of the method's own scalars, in float64
    initial(hyper)           slot name -> initial value
    accumulate(square, G, s) the new accumulator; square is g*g, its mean over a row or its sum
    scale(G, s)              the denominator H
    delta(g, H, s)           the displacement d

The functions see NumPy scalars of the parameter's dtype, or compiled floats: a literal would widen
float32 to float64, so constants come in through `s`.
"""

COMMON = (
    "zero",
    "one",
    "learning_rate",
    "momentum",
    "gradient_scale",
    "clip",
    "weight_decay",
    "keep",
    "l1_step",
    "l2_step",
)
