"""How people reach us: Slack, Telegram, the web and a terminal."""
