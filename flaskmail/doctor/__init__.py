"""What ``flaskmail doctor`` does: it asks the server through its public URL, and compares what it asked with what was seen."""
