"""Losses in, best parameters out: the optimizer that all methods share, its runs and its files."""

from .optimizer import Optimizer

__all__ = ["Optimizer"]
