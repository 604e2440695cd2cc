"""Models that understand text."""
