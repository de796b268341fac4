"""Machines and a control plane on this computer."""
