"""What each instruction of the interpreter's table must compute, by definitions that know nothing of the interpreter.

`CASES` has the checks of each name, which raise an AssertionError where a value is wrong. Operands are those at the
edges of their types, in all combinations where there are not too many, and some that are drawn.
"""

from collections import defaultdict

from . import arithmetic, atomics, control, conversions, memory, together

CASES = defaultdict(list)
for module in (arithmetic, atomics, control, conversions, memory, together):
    for name, check in module.cases():
        CASES[name].append(check)
TOO_WIDE = memory.too_wide()
