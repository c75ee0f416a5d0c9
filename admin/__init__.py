"""The control plane: documents, the REST API, telemetry's listener, and the commands.

``app`` wires it together.  It is the only place that knows pydantic, YAML, flags and environment,
and it reaches the data plane through ``proxy.Server`` alone.
"""
