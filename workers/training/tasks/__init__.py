"""One module a task: its recipe, and how its trainer is built."""
