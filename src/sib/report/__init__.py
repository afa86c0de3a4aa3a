"""Pages about runs and audits: load, compute what is missing, render."""
