"""Gradients in, parameters moved: parameters, their state, the settings of a step, and how a step is made."""
