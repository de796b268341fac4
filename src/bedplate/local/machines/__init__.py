"""Machines of this computer: QEMU with Secure Boot, kept by a cell."""
