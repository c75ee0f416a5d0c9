"""The bodies of the API, as pydantic models: what is read is checked by them, all are described.

The tables name them by their paths: whoever only serves does without pydantic.  A model is loaded
when such a body is read (``checked``) or described (``openapi``).
"""
