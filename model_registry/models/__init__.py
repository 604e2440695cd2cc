"""One file a model family: spec, load, predict, examples."""
