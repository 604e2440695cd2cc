"""Models that read frames."""
