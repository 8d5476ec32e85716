"""The embedded world: videos of a drawn figure whose atomic action is known for every frame."""
