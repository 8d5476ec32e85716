"""Systems that the paper quotes beside SFAR, one file for each (or for two that share a head)."""
