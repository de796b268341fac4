"""Trust, payloads and publishing of releases."""
