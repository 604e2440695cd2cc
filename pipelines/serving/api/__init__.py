"""The HTTP API: who may ask, how much, in which shape, and what the answer looks like."""
