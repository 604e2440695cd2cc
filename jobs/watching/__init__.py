"""Watching a run: what it keeps of itself on disk, and how nights stand."""
