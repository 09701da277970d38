"""JMAP and management over HTTP with Flask: blueprints, each bound to a Server.

``jmap_blueprint(server)``, ``discovery_blueprint(server)`` and ``management_blueprint(server)`` fit into any Flask application;
see :mod:`flaskmail.app` for ours.
"""

from flaskmail.web.discovery import discovery_blueprint
from flaskmail.web.jmap import jmap_blueprint
from flaskmail.web.management import management_blueprint

__all__ = ["discovery_blueprint", "jmap_blueprint", "management_blueprint"]
