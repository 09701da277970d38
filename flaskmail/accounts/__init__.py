"""Who may come in: domains, principals, passwords, tokens, throttling. All of it lies in ``<data>/control.db``.

Start at :class:`flaskmail.accounts.directory.Directory`.
"""
