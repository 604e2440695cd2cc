"""Run a list of stages on this machine alone, in processes that may die: what a cluster costs to start, saved."""
