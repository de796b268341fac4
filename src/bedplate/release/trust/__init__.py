"""What nodes believe of a repository, and why. Signs nothing."""
