"""JMAP over HTTP with Flask: two blueprints, ``jmap`` and ``discovery``, each bound to a Server.

``jmap_blueprint(server)`` and ``discovery_blueprint(server)`` fit into any Flask application; see :mod:`flaskmail.app` for ours.
"""

from flaskmail.web.discovery import discovery_blueprint
from flaskmail.web.jmap import jmap_blueprint

__all__ = ["discovery_blueprint", "jmap_blueprint"]
