"""OAuth 2.0 and OpenID Connect as functions from values to values, a module for each thing: no web, no database.

What they decide is stored by :mod:`flaskmail.accounts`, joined by :mod:`flaskmail.oauthservice`, and spoken by
:mod:`flaskmail.web.oauth`.
"""
