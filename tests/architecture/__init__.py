"""Guards of the architecture: what may import what, and how big things may get."""
