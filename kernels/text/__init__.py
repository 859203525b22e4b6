"""Text and sparse matrices on their way in."""
