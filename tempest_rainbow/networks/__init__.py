"""The network, its lane encoder, and their kernels for CPUs."""
