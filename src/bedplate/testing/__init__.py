"""Fakes and the VM test language; users' tests may import it, shipped code may not."""
