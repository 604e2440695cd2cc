"""A million clips with planted groups and chains, and how they are clustered from nothing and from what is known."""
