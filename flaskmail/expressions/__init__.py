"""The expression language of the settings: text -> checked, compiled, evaluated within a budget.

::

    url = compile_expression("protocol + '://' + key_get('default', 'hostname')", variables=HTTP_TYPES, lookups=tables)
    url.evaluate({"protocol": "https"})

``compile_setting`` also takes if-blocks. docs/expressions.md describes the language.
"""

from flaskmail.expressions.blocks import compile_expression, compile_setting
from flaskmail.expressions.compiled import Compiled
from flaskmail.expressions.errors import EvaluationError, ExpressionError, ExpressionErrors, Refusal
from flaskmail.expressions.functions import BUILTIN, Function, Parameter
from flaskmail.expressions.types import Type, Value
from flaskmail.expressions.variables import HTTP, HTTP_TYPES, Variable

__all__ = [
    "BUILTIN",
    "HTTP",
    "HTTP_TYPES",
    "Compiled",
    "EvaluationError",
    "ExpressionError",
    "ExpressionErrors",
    "Function",
    "Parameter",
    "Refusal",
    "Type",
    "Value",
    "Variable",
    "compile_expression",
    "compile_setting",
]
