"""SFAR: Storyboard-guided Alignment for Fine-grained Video Action Recognition, as a paper you can run."""

import warnings

# A library below shows progress with notebook widgets if it finds them, and otherwise complains in every notebook.
warnings.filterwarnings("ignore", message="IProgress not found")

__version__ = "0.1.0"
