"""A JMAP mail server: ``gunicorn wsgi:app``. :func:`flaskmail.app.create_app` makes the application."""
