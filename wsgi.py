"""For ``gunicorn wsgi:app`` and every other WSGI server."""

from flaskmail.app import create_app
from flaskmail.errors import ConfigError

try:
    app = create_app()
except ConfigError as error:
    # Whoever starts the server made the mistake: a sentence helps, a traceback does not.
    raise SystemExit(f"flaskmail cannot start, its configuration is wrong:\n{error}") from None
