"""Loops that train and score linear models."""
