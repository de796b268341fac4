"""A control plane that is not ours: what is kept of it, whether machines may join it, and asking it."""
