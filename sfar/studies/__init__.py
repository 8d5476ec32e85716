"""One file for each notebook: what is compared, what is claimed, what is drawn."""
