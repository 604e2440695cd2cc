"""Verification: whether a nominated span is the same picture, or only the same kind of picture."""
