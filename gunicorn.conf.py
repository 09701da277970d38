"""Read by gunicorn when it is started in this folder. Everything comes from the settings: see config.example.toml."""

from flaskmail.gunicornconf import *  # noqa: F403
