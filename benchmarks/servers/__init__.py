"""Servers around the same models, and who calls them: each a process of its own."""
