"""What the commands print."""

from __future__ import annotations

import json
import math
from typing import Any


def json_line(value: Any) -> str:
    """One line of strict JSON: null stands for what is not finite."""
    return json.dumps(_strict(value), ensure_ascii=False, allow_nan=False)


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _strict(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
