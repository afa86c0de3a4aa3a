"""Readers of files from strangers; none of them can run code."""
