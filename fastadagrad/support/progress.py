"""A progress bar for `iterate`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any

from .extras import needed

Epochs = Generator[tuple[dict[str, float], dict[str, float]], None, None]


def shown(epochs: Epochs, total: int | None) -> Epochs:
    """Yield the epochs and show them with tqdm."""
    return _shown(epochs, total, needed("tqdm.auto", "progress=True").tqdm)


def _shown(epochs: Epochs, total: int | None, bar_of: Callable[..., Any]) -> Epochs:
    with closing(epochs), bar_of(epochs, total=total, unit="epoch") as bar:
        for train, valid in bar:
            bar.set_postfix(train=f"{train['loss']:.4g}", valid=f"{valid['loss']:.4g}")
            yield train, valid
