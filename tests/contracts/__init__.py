"""One contract suite a port, run over every implementation."""
