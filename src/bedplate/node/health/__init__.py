"""Judges whether the version that runs works, before the boot loader is told that it does."""
