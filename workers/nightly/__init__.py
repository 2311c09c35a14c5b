"""The night: curate, train, evaluate, publish."""
