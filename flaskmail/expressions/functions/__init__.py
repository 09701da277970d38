"""The functions of the language, each declared once: the compiler, the documentation and the tests read the declarations."""

from flaskmail.expressions.functions.addresses import ADDRESSES
from flaskmail.expressions.functions.declaration import Function, Parameter
from flaskmail.expressions.functions.forms import FORMS
from flaskmail.expressions.functions.lists import LISTS
from flaskmail.expressions.functions.text import TEXTS

BUILTIN: tuple[Function, ...] = (*TEXTS, *LISTS, *ADDRESSES, *FORMS)
"""Every function of the language."""

__all__ = ["BUILTIN", "Function", "Parameter"]
