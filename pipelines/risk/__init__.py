"""What was seen, what it adds up to, and what a policy makes of it."""
