"""JSON that every reader takes."""

import json
import math

from fastadagrad.support import strict_json


def test_what_is_not_finite_is_null():
    value = {"a": [1.5, math.inf, (math.nan,)], "b": {"c": -math.inf}, "\u00e9": None}
    text = '{"a": [1.5, null, [null]], "b": {"c": null}, "\u00e9": null}'
    assert strict_json.dumps(value) == text
    assert json.loads(strict_json.dumps(value, indent=1)) == json.loads(text)
