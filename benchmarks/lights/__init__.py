"""The same work without any machinery: what a stage costs bare, and what a plain script takes."""
