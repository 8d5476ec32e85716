"""What all studies share: variants, statistics, claims, records."""
