"""The fixed addresses of a local cluster: its network is its own, so every cluster can have the same ones."""

from __future__ import annotations

NETWORK_PREFIX = "10.75.0"
"""The first three bytes of the machines' /24 network."""
GATEWAY = f"{NETWORK_PREFIX}.1"
"""The cell's own address, at which machines find the API server and the registry."""
API_ELSEWHERE = f"{NETWORK_PREFIX}.2"
"""Where machines find an API server that lies outside the cell, when they know it by a name."""
POD_PREFIX = "10.244"
POD_CIDR = f"{POD_PREFIX}.0.0/16"
SERVICE_CIDR = "10.96.0.0/16"
FIRST_SERVICE = "10.96.0.1"
"""The address of the service `kubernetes`, always the first of the network."""
CLUSTER_DNS = "10.96.0.10"
REGISTRY_PORT = 5000
RELEASES_PORT = 5080
