"""The oracle of every method of the library, by the name of its class: what its drivers must equal, bit for bit.

A method that is missing here fails `test_registry_agrees`.
"""

import family
import measuring
from oracle import Oracle

ORACLES = {
    "ADAGRAD": Oracle,
    **{name: oracle for name, (oracle, _) in family.METHODS.items()},
    **{name: oracle for name, (oracle, _) in measuring.METHODS.items()},
}
