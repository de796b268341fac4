"""Makes the node what it is told to become: one table of states, a pure plan, and steps that may each be repeated."""
