"""A benchmark of copy detection in the manner of VSC2022: corpus, metrics, peers, tables."""
