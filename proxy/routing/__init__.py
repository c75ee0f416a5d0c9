"""Which route takes a request: what its target means, and the table it is looked up in.

Pure: a host and a target in, a route out.
"""
