"""Autobahn's fuzzing client against an echo server, directly and through hotsplice.

``make autobahn`` runs it; it is no part of ``make test``, for it takes minutes and Python 2.7.
"""
