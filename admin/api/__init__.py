"""The admin REST API, and its description.

``table`` lists the operations; ``application`` serves them, ``openapi`` and ``docs`` describe them.
"""
