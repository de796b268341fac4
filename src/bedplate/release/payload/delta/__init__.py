"""Deltas in a format of our own, described in docs/reference/delta-format.md: `format` and `script` are its two sides,
`rebuild` is all that a node needs, the others belong to the publisher.
"""
