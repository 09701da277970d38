"""Mail in: what files messages into accounts."""
