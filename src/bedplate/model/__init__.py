"""The shared words: versions, digests, pools, verdicts, errors. Pure values."""
