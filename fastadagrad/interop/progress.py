"""A progress bar for `iterate`."""

from __future__ import annotations

from collections.abc import Iterator

Pair = tuple[dict[str, float], dict[str, float]]


def shown(epochs: Iterator[Pair], total: int | None) -> Iterator[Pair]:
    """Yield the epochs and show them with tqdm."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise RuntimeError('progress=True needs tqdm: pip install "fastadagrad[fit]"') from None
    with tqdm(epochs, total=total, unit="epoch") as bar:
        for train, valid in bar:
            bar.set_postfix(train=f"{train['loss']:.4g}", valid=f"{valid['loss']:.4g}")
            yield train, valid
