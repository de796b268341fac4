"""The only doors to the world: programs, files, HTTP, the clock. Each has a fake with the same interface."""
