"""The words people type; turned into calls, results printed."""
