"""The run folder: written by training, read by every later stage."""
