"""Cache, processes, paths, provenance."""
