"""Programs built from source: Kubernetes, the container runtime and what a local cluster needs beside them."""
