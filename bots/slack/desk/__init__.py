"""The desk of people in a Slack channel: a thread for each conversation that was handed over."""
