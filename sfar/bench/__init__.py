"""How fast it is, measured as ratios."""
