"""Cells: namespaces that hold a local cluster, kept by one process and gone with it."""
