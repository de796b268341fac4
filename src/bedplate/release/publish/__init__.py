"""Making and changing a release repository: everything that needs a key."""
