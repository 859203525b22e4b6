import pytest

pytest.importorskip("sklearn", reason="needs the extra sklearn")
