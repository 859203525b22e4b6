"""Arrays in the memory of a GPU: whose they are, how they are reached, and how parameters among them are stepped."""
