"""Bedplate: an immutable, self-updating node OS for Kubernetes node pools."""
