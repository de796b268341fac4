"""Node pools of a local cluster: what each should be, what there is, and the machines in between."""
