"""Whether a domain publishes the records that it should: what to ask, whom, and how the answers compare."""
