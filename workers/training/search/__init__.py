"""Search for a recipe's best settings."""
