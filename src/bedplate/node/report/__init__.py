"""Tells on the console what keeps the node from joining its cluster."""
