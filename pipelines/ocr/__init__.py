"""What is shown: text on frames, read where it changed and kept as lines with a span."""
