"""Shapes on the wire and on disk: encode and decode only."""
