"""From bytes to values and back: messages, archives, HTML. Pure functions, bounded in time and memory."""
