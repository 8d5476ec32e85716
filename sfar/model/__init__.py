"""Sections 3.2 to 3.4, to be read in this order.

``texts`` and ``clip`` give what the equations start from, ``embedding`` has Eq. 4-10 as plain functions, ``sfar`` the
head made of them (Eq. 11), ``video_model`` the visual tower before it, ``loss`` Eq. 12-14. ``literal`` has all
equations once more in loops, ``kernels`` what is computed faster. ``mean_pool``, ``temporal`` and
``single_granularity`` are the methods compared with; ``registry`` names them all. ``other_methods`` has those of Table
2c.
"""
