"""Clean material and pairs, and the batches that training makes of them."""
