"""Jobs that make models from data."""
