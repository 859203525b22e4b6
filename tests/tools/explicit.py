"""Options of linear models that are told what defaults would choose or change: for tests of formulas and of bits."""

from typing import Any

LAST: dict[str, Any] = {"implicit": False, "average": False}  # explicit steps, and the last weights, of any method
EXPLICIT: dict[str, Any] = {**LAST, "learning_rate": 0.1, "rms_regularizer": 1e-8}  # those of ADAGRAD
