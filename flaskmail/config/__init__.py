"""The settings: every key is declared once, with its kind, default, doc and example (:mod:`flaskmail.config.settings`).

``load()`` reads and checks them; ``current()`` gives those in force in this process. An embedding application may also make
:class:`Settings` itself and leave files and environment alone.
"""

from flaskmail.config import checking as checking
from flaskmail.config.kinds import Rate
from flaskmail.config.loading import load
from flaskmail.config.reloading import adopt, current, diff, merge
from flaskmail.config.settings import Declaration, Settings, declarations

__all__ = ["Declaration", "Rate", "Settings", "adopt", "current", "declarations", "diff", "load", "merge"]
