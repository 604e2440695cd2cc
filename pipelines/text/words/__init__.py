"""Tier 1: terms in whatever disguise."""
