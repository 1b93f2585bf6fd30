"""One run in several processes, by torch.distributed."""
