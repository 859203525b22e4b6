"""Damaged files of all kinds: refused by name, with nothing changed, or loaded so that training goes on."""

import pytest
from wild_files import many


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("files", "seed"), [(400, 0), pytest.param(8000, 100, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_every_file_keeps_to_the_contract(files, seed):
    wrong, loaded = many(files, seed)
    assert wrong == {}
    assert loaded > files / 50
