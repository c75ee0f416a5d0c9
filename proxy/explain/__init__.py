"""Why a request goes where it goes: it is played through the code that serves, nobody at the ends.

A request is written as a client would write it and fed to a real client connection.  Everything
behind it is the real thing: the parser, admission, the listener's site, steps, header rules, error
pages, the pool's way of balancing.  What is put in their place are the ends (transports, the event
loop) and whatever would be changed: counters, and the state of the balancing, of which there is a
copy.  Compiled routes are copied with observers in them, for one explanation, so that a request
which is served pays for nothing.
"""
