"""Sections 3.2 to 3.4: the equations, the heads made of them, the visual tower before them."""
