"""The door of the service: who may ask, what and how much, over HTTP."""
