"""For ``gunicorn wsgi:app`` and every other WSGI server."""

from flaskmail.app import create_app

app = create_app()
