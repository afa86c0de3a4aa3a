"""Readers of untrusted files; none of them can run code."""
