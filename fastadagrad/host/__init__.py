"""The host as a place of arrays: how parameters in the computer's own memory are checked and stepped."""
