"""What lies in the cache, why it stays, and how it goes."""
