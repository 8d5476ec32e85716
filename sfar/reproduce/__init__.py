"""What ``make reproduce`` makes, in which order, and the pages around it."""
