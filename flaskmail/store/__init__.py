"""Stores: everything that implements :mod:`flaskmail.jmap.storage`.

``sqlite`` keeps accounts on disk, ``memory`` keeps them in the process; both pass the same contract tests.
"""
