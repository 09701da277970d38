"""What the HTTP policy decides, as pure functions: frozen values in, frozen decisions out. No Flask, no WSGI, no file."""
