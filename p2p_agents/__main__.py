"""`python -m p2p_agents` is `p2p-agents`."""

import sys

from p2p_agents.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
