"""Loops over the arrays of parameters on the CPU, made from the rules."""
