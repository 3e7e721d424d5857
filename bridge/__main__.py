"""`python -m bridge`, the same as `p2p-bridge`."""

from __future__ import annotations

import sys

from bridge.main import main

sys.exit(main())
