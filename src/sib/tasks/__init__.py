"""Model and objective as one module: what a loop, DDP or a compiler wraps."""
