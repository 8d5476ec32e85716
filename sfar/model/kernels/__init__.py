"""Faster forms of what ``sfar.model`` states readably, held to it by tests."""
