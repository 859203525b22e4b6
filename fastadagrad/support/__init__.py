"""Modules that any program could use: names, numbers, files and signals. They import nothing else of fastadagrad."""
