"""SFAR: Storyboard-guided Alignment for Fine-grained Video Action Recognition, as a paper you can run."""

__version__ = "0.1.0"
