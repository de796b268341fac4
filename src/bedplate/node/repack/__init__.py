"""Makes a UKI with its kernel packed again: in a process of its own, since it takes more memory than the agent has."""
