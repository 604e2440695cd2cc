"""The parts of `nightjar bench gpu`."""
