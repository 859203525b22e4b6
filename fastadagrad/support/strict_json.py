"""JSON that every reader accepts: null stands for numbers that are not finite."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def dumps(value: Any, indent: int | None = None, encoding: str = "utf-8") -> str:
    """JSON text, with only the escapes that JSON needs; in ASCII, if `encoding` lacks one of its characters."""
    strict = _strict(value)
    text = json.dumps(strict, ensure_ascii=False, allow_nan=False, indent=indent)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return json.dumps(strict, allow_nan=False, indent=indent)
    return text


def _strict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _strict(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
