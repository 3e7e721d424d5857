#!/bin/sh
# The commands in Python, where there is no native client. They are beside this file, or beside what a link names.
here=${0%/*}
[ -x "$here/p2p-agents-python" ] || here=$(dirname "$(readlink -f "$0")")
exec "$here/p2p-agents-python" "$@"
