"""Model and objective as one module: what a loop or DDP wraps."""
