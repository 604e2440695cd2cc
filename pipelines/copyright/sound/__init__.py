"""The sound fingerprint: landmarks, and copies found with them."""
