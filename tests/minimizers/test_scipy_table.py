"""The table of what users of SciPy expect, in docs/conventions.md, has the rows that are tested, and no others."""

import test_scipy_arguments
import test_scipy_results
from conventions import table

PARTS = test_scipy_arguments, test_scipy_results


def test_the_table_has_these_rows():
    """Each row of the document is a test here, and each test is a row."""
    found = table("SciPy")
    assert found == [row for module in PARTS for row in module.ROWS.values()]
    assert len(found) == sum(name.startswith("test_") for module in PARTS for name in vars(module))
