"""The problem of word embeddings: skip-gram with negative samples, whose gradients are row-sparse.

T. Mikolov et al., "Distributed Representations of Words and Phrases and their Compositionality", NIPS 2013.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.rows import Rows
from ..support import contents
from .problem import Task

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]
DIMENSIONS, WINDOW, NEGATIVES = 32, 3, 4
MOST_WORDS, MOST_PAIRS = 5000, 60_000
LEAST_PAIRS = 20
HELD_OUT = 0.1
TOPICS, TOPIC_WORDS, COMMON_WORDS, SENTENCES, LENGTH = 12, 40, 60, 800, 12


def made_up() -> list[list[str]]:
    """Made-up sentences, each of words of one topic and of words common to all, drawn by Zipf's law."""
    rng = np.random.default_rng(0)

    def draw(n: int, words: int) -> Any:
        weights = 1 / np.arange(1, words + 1)
        return rng.choice(words, n, p=weights / weights.sum())

    sentences = []
    for topic in rng.integers(TOPICS, size=SENTENCES):
        own, common = draw(LENGTH, TOPIC_WORDS), draw(LENGTH, COMMON_WORDS)
        chosen = rng.random(LENGTH) < 0.6
        sentences.append([f"t{topic}w{a}" if c else f"w{b}" for a, b, c in zip(own, common, chosen, strict=True)])
    return sentences


def sentences_of(path: str) -> list[list[str]]:
    """The words of each line of a text, in lower case."""
    return [re.findall(r"[^\W\d_]+", line.lower()) for line in contents.read_text(path).splitlines()]


def pairs_of(sentences: Sequence[Sequence[str]]) -> tuple[Indices, NDArray[np.float64]]:
    """Pairs of words (n, 2) at most WINDOW apart, as ranks of frequency, and how often each word occurs."""
    counts = Counter(word for sentence in sentences for word in sentence).most_common(MOST_WORDS)
    rank = {word: i for i, (word, _) in enumerate(counts)}
    found = []
    for sentence in sentences:
        known = [rank[word] for word in sentence if word in rank]
        for distance in range(1, WINDOW + 1):
            found += [*zip(known, known[distance:], strict=False), *zip(known[distance:], known, strict=False)]
    return np.array(found, np.int64).reshape(-1, 2), np.array([n for _, n in counts], np.float64)


@cache
def _samples(path: str, identity: str) -> tuple[int, tuple[Indices, ...], tuple[Indices, ...]]:
    """The number of words; then center, context and negative samples to train on, and the same to validate on."""
    pairs, counts = pairs_of(sentences_of(path) if path else made_up())
    if len(pairs) < LEAST_PAIRS:
        raise ValueError(f"{path} has {len(pairs)} pairs of neighbouring words; expected at least {LEAST_PAIRS}")
    rng = np.random.default_rng(0)
    pairs = pairs[rng.permutation(len(pairs))[:MOST_PAIRS]]
    noise = counts**0.75
    negative = rng.choice(len(counts), (len(pairs), NEGATIVES), p=noise / noise.sum())
    parts = (np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1]), negative)
    held_out = max(1, round(len(pairs) * HELD_OUT))
    return len(counts), tuple(part[held_out:] for part in parts), tuple(part[:held_out] for part in parts)


def skip_gram_loss(
    params: dict[str, Floats], center: Indices, context: Indices, negative: Indices
) -> tuple[float, dict[str, Any]]:
    """Mean over pairs of -log s(u.v) - sum(log s(-u.n)), s the logistic function, n the negative samples; gradients."""
    u = params["words"][center]
    others = np.concatenate([context[:, None], negative], axis=1)  # (n, 1 + NEGATIVES)
    v = params["contexts"][others]
    sign = np.full(others.shape[1], np.float32(-1))
    sign[0] = 1
    z = sign * np.einsum("nk,njk->nj", u, v)
    value = np.logaddexp(np.float32(0), -z).sum(axis=1).mean(dtype=np.float64)
    slope = -sign * np.exp(-np.logaddexp(np.float32(0), z)) / np.float32(len(center))
    du = np.einsum("nj,njk->nk", slope, v)
    dv = (slope[:, :, None] * u[:, None, :]).reshape(-1, u.shape[1])
    return float(value), {"words": Rows(center, du), "contexts": Rows(others.ravel(), dv)}


def embeddings(path: str, identity: str, seed: int) -> Task:
    """Word embeddings of a text, or of made-up sentences, as a task; a tenth of the pairs is held out."""
    n_words, train, valid = _samples(path, identity)
    start = np.random.default_rng([seed, 0])
    words, contexts = 0.1 * start.standard_normal((2, n_words, DIMENSIONS), np.float32)
    params = {"words": words, "contexts": contexts}
    return Task(params=params, loss=skip_gram_loss, train=train, valid=valid, batch_size=512, epochs=5)
