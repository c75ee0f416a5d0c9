"""nginx.conf files as people have them, whole, and what they are used for.

Each folder is what stands in somebody's ``/etc/nginx``, in the manner in which the projects behind
it publish theirs.  ``placing`` gives such a folder addresses that a test can have, ``behind`` has
the servers that it passes on to.  ``test_import`` looks at the reports, ``test_beside_nginx``
compares requests with nginx, and the rest is real traffic through the real process.
"""
