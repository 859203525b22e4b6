"""Files of parameters alone, in the format of safetensors, which other libraries read."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.parameters import Parameters
from ..support.asking import path_text
from ..support.extras import needed
from ..support.outputs import replacing

RESERVED = "__metadata__"  # what the format calls something that is no array


def export(params: Parameters, path: Any) -> None:
    """Write parameters, all rows of which have been caught up, to a file that is replaced as a whole."""
    name = path_text("path", path)
    save = needed("safetensors.numpy", "export").save
    if RESERVED in params.names:
        raise ValueError(f"a parameter is called {RESERVED}, a name that the format keeps for itself: rename it")
    to_host = params.place.to_host
    content: bytes = save({each: np.asarray(to_host(array), order="C") for each, array in params})
    with replacing(name) as file:
        file.write(content)
