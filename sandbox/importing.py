"""Large libraries that are imported when they are needed, by whichever thread comes first."""

from __future__ import annotations

import threading

IMPORTING = threading.Lock()
"""Two threads that begin a circle of imports at different modules of it, as requests has, do not wait for one another:
one of them finds a module half made, and an ImportError.
"""
