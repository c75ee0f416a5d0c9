"""What is done to header fields: templates, header maps, rules, and what is never passed on.

Pure: a request in, octets out.
"""
