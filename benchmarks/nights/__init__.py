"""Nights that are broken on purpose, and nights that are large."""
