"""``python -m flaskmail`` is ``flaskmail``."""

from flaskmail.cli import main

main(prog_name="flaskmail")
