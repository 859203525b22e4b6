"""Rules of a user's own made of others."""

from pathlib import Path
from types import SimpleNamespace

import plain_rule


def variant(rule, **changes):
    """A rule with other parts, as a namespace; without those that are None."""
    parts = {**vars(rule), "name": rule.name, **changes}
    return SimpleNamespace(**{name: part for name, part in parts.items() if part is not None})


def module_text(name, displacement):
    """The text of a module that is the plain rule with another name and another displacement."""
    text = Path(plain_rule.__file__).read_text()
    for old, new in (('"plain_rule"', f'"{name}"'), ("s.learning_rate * g", displacement)):
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text
