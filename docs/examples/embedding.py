"""A Flask application of somebody's own that serves JMAP below /mail. docs/embedding.md explains it.

gunicorn -w 2 --threads 16 embedding:app
"""

from flask import Flask

from flaskmail.config import load
from flaskmail.policy import HttpPolicy
from flaskmail.server import Server
from flaskmail.web import discovery_blueprint, jmap_blueprint

server = Server(load())

app = Flask(__name__)
app.register_blueprint(jmap_blueprint(server), url_prefix="/mail")
app.register_blueprint(discovery_blueprint(server, jmap_prefix="/mail"))


@app.get("/")
def home() -> str:
    """A page that has nothing to do with mail."""
    return "Hello"


HttpPolicy(
    app,
    {
        "use-x-forwarded": True,
        "trusted-proxies": ["10.1.2.0/24"],
        "headers": ["X-Frame-Options: DENY"],
        "cors-origins": ["https://app.example"],
        "rate-limit": {"anonymous": False},
    },
)
