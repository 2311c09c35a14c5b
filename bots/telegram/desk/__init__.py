"""The desk in a Telegram forum: one topic for each customer's conversation."""
