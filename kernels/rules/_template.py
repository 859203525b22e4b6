"""Template: each element's step is divided by a running mean of the sizes of its gradients.

    M  <- r*M + (1-r)*|g|
    H  = M + e
    d  = (a*g) / H              an element whose H is 0 does not move

with r = 2^(-1/halflife), e = rms_regularizer and a = learning_rate.

Rows that a sparse gradient does not name have no closed form: choose ``lazy="touched"`` or ``"dense"``.

References
----------
None: this is an example of how a rule is written. Other rules name their papers here.
"""

# How to use it: copy this file to x.py, without its comments, and change it from top to bottom. (A copy elsewhere
# imports from fastadagrad.kernels.rules, and `fastadagrad.register` takes the module.) The docstring above becomes part
# of that of the method's class: a sentence, the formula indented, what else a user has to know, the references. The
# functions are plain Python, which all drivers compile: they may call the functions of `math` and `soft_threshold`, and
# nothing else. Constants come in through `s`, since a literal would make float64 of a float32.

from collections import namedtuple
from dataclasses import dataclass

from . import COMMON, documented, share_kept, share_new

# The name by which `fastadagrad.build` finds the method: that of this file.
name = "template"

# Lines of a doctest, in which numpy is np and fastadagrad fa: a step whose result a reader can check by hand.
example = """\
>>> w = np.array([1.0, 1.0])
>>> fa.build("template", params=w, learning_rate=0.5, halflife=0, rms_regularizer=0).step(np.array([2.0, -0.1]))
>>> w
array([0.5, 1.5])
"""

# Names of the slots, the arrays that the method keeps beside a parameter, of its shape; H is made of the first one.
slots = ("mean_size",)

# Traits say of the formula what a driver cannot find out by itself. A trait that a rule does not set has the value that
# stands here:
#
# squares = False       True: the first slot adds up or averages squares or sizes of gradients, so that an element where
#                       it is 0 has no metric for l1 and l2 yet, and one where it becomes infinite is warned of.
# shares = False        True: `accumulator` may be "row" or "tensor", for which the first slot, the only one, is shared.
# rests = False         True: under a gradient of 0 the slots stay and d is 0, so that rows which a sparse gradient does
#                       not name can be caught up in closed form (kernels/missed.py).
# timed = False         True: `scalar_values` goes by the step's number t, and is asked before each step (adam.py).
# penalised = True      False: H is no metric, so that l1 and l2 are refused.
# along_gradient = False  True: d is learning_rate times g, divided by an H to which the rate is of no account, so that
#                       linear models can make implicit steps.
# takes_rate = True     False: the learning rate changes nothing, and neither does a schedule of it.
# rate_divides = False  True: the formula divides by the learning rate, so that 0 is refused.
# rate_free = False     True: no learning rate has to be chosen, so that comparisons try only the default.
# stored = {}           The storage of slots that lie in memory in another dtype than their parameter, on the host only:
#                       {"mean_size": BFLOAT16} of kernels/memory/storage.py.
# starts = ()           Hyperparameters by which slots begin, a change of which waits for `reset`.
# defaults = {}         Options of all methods of which this one has another default, as {"learning_rate": 1.0}.
# fixed = {}            Options that make the method what it is and take no other value, as {"nesterov": True}.
# fed = ""              The slot that is given the Hessian-vector product which comes with each gradient (esgd.py).
# measured = ()         Names of sums over all elements that are formed before each step: see `measure` below.
# learned = ()          Names of numbers that follow from these sums and are kept: see `learn` below.
squares = True


# The hyperparameters of this method alone: each with its type, its default and its meaning.
@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What a user of the method sets."""

    halflife: float = documented(14.0, "Steps after which the size of a gradient counts half.")
    rms_regularizer: float = documented(1e-8, "e, added to the mean size; in the gradient's unit.")


# The scalars, which all elements of a step share: those of all methods, and then this method's own by name.
Scalars = namedtuple("Scalars", (*COMMON, "kept", "new", "epsilon"))


# Values of the method's own scalars in step t, the first being 0, with learning rate a. They are formed in float64, and
# cast to the parameter's dtype once a step.
def scalar_values(hyper, a, t):
    return share_kept(hyper.halflife), share_new(hyper.halflife), hyper.rms_regularizer


# A number with which each slot begins, or PARAMETER for a copy of the parameter.
def initial(hyper, a):
    return (0.0,)


# The slots after gradient g, given the slots before (`own`). `square` is g*g or, where rows share the slot, its mean
# over the row and, where a tensor does, its sum over the tensor.
def accumulate(p, g, square, own, s):
    return (s.kept * own[0] + s.new * abs(g),)


# The denominator H, which is the metric of l1 and l2 too: 1, as s.one, for a method that divides by nothing.
def scale(own, s):
    return own[0] + s.epsilon


# The displacement d, and the slots, of which `delta` may change some. kernels/element.py applies momentum, decay and
# penalties.
def delta(g, H, own, s):
    return (s.learning_rate * g / H if H != s.zero else s.zero), own


# Functions that only some rules have:
#
# place(g, H, own, s)              In the place of `delta`: the parameter itself, where it follows from the slots alone
#                                  (ftrl.py).
# refusal(hyper)                   Why these hyperparameters make no sense, or None (rprop.py).
# form(hyper)                      The class that has slots, functions and traits under these hyperparameters, where
#                                  slots or formula depend on them (adam.py).
# measure(p, g, own, H, ahead, s)  An element's part of each sum in `measured` (dog.py).
# learn(hyper, known, sums)        The numbers in `learned`, from what they were (`known`) and the sums; `scalar_values`
#                                  then takes them after t (dog.py).
