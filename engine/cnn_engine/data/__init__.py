"""Images from any source as one uint8 tensor, their split, and batches of them."""
