"""What a route does with a request before it is passed on: steps, access, answers, error pages.

Pure: they change the facts of the request and say what follows; ``exchange`` does it.
"""
