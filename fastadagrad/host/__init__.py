"""How parameters in the computer's own memory are stepped."""
