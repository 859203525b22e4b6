"""Numbers of things in words."""

from __future__ import annotations


def plural(number: int, one: str, many: str = "") -> str:
    """A number and the word for what is counted, by default with an s if there is not one of it.

    Examples
    --------
    >>> from fastadagrad.support.plurals import plural
    >>> plural(1, "run"), plural(2, "run"), plural(0, "study", "studies")
    ('1 run', '2 runs', '0 studies')
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"
