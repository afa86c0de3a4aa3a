"""Which runs there are, and what speaks against starting them."""
