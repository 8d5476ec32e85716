"""Data sets on disk: their lists, their videos as frames, and what is sampled and cut out of them."""
