"""Text to measure reading on: harmless lines of many registers, labelled lines held out, disguises, peers."""
