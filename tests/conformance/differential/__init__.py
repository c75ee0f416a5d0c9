"""hotsplice and nginx with one nginx.conf, the same octets into both, every octet compared.

``tables`` says what is asked of which file, ``pair`` asks, ``observation`` is what was seen.  The
differences that are meant are declared with their reasons in ``admission`` (what is refused),
``answering`` (what comes back) and ``forwarding`` (what is passed on); ``classes`` applies them.
"""

from tests.conformance.differential import admission, answering, forwarding  # noqa: F401
from tests.conformance.differential.classes import reconcile as reconcile
