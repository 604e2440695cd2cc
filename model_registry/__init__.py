"""What a model is: load, predict, weights, versions. Nothing here knows how models are run."""
