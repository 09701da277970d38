"""Data types: declarations, and the few rules that only they have. The methods are in :mod:`flaskmail.jmap.methods`."""
