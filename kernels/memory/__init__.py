"""Memory as kernels see it: headers of arrays, addresses, slots, and what is prefetched."""
