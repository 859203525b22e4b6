"""Gradients in, parameters moved: parameters with their state, what a step goes by, and how it is made."""
