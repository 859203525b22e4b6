"""Arrays that a file has to keep as they are, by names that it has to keep, too."""

import numpy as np

ARRAYS = {
    "param/a b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "größe/../x\n": np.float64(0.1) * np.ones(()),
    "": np.zeros((0, 4), np.int64),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
}
