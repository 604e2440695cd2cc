"""Tier 2 of text: the labelled lines, and how heads are fitted, calibrated and measured on them."""
