"""Whether this machine can build images and run a local cluster, said before anything starts."""
