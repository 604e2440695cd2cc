"""The picture fingerprint: views, descriptors, hashes, and spans found with them."""
