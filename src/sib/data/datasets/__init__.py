"""The data sets that are read by name, one file each."""
