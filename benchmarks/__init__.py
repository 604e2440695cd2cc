"""Performance claims: one file a claim, each a ratio within one run."""
