"""JSON that every reader takes: null stands for what is not finite."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def dumps(value: Any, indent: int | None = None) -> str:
    """Text that has no escapes but those that JSON needs."""
    return json.dumps(_strict(value), ensure_ascii=False, allow_nan=False, indent=indent)


def _strict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _strict(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
