"""Terms that are added to the classification loss: S-IB, and the methods it is compared with."""
