"""A GPU as a place of arrays: how arrays in its memory are read, made, and, as parameters, checked and stepped."""
