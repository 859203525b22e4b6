"""Training in several processes, by MPI: each has a part of every parameter's state, and steps that part."""
