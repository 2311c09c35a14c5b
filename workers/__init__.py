"""What no customer waits for: child processes and background jobs."""
