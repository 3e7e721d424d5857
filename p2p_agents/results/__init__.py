"""The answers of the control methods, as types: each shape and each of its fields is declared here and nowhere else.

Plain dictionaries with a static type: the node builds them, and no command imports a declaration at run time. The
control reference, the JSON Schemas and the tests' check of every answer are drawn from them.

`Annotated` says what a field means, in words, and of text which words it may be, in a tuple.
"""
