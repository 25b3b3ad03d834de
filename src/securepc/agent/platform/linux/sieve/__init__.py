"""The sieve: a small process of its own through which every lookup of a name on this PC passes, whatever
server a program asks. It outlives the agent. nftables sends it

- every DNS query, which it answers itself for a blocked name, else asks the server that was meant;
- connections to encrypted resolvers and foreign mail servers, which it refuses in the protocol's own words;
- plain HTTP to the address it answers for blocked names, where it shows why;
- the first packets of HTTP and TLS connections, which it refuses where they name a blocked host.

`python -m securepc.agent.platform.linux.sieve FOLDER` runs it: the *keeper* holds the sockets and starts the
*worker* again whenever it ends. What it must do stands in FOLDER/filter.json, what it refused in
FOLDER/attempts.jsonl.
"""

from __future__ import annotations

DNS_PORT, REFUSE_PORT, PAGE_PORT = 893, 894, 895
"""On loopback; below 1024, so that nobody but root can take them."""
PAGE_ADDRESS = "127.0.93.1"
"""What blocked names lead to."""
MARK = 0x1EC0DE00
"""On packets of the sieve itself (SO_MARK needs CAP_NET_ADMIN): they are not sent to it again. It shares no
bit with SEEN and REFUSED."""
SEEN = 0x20000000
"""A bit of the connection mark: its greeting was looked at and is fine."""
REFUSED = 0x40000000
"""A bit of a packet's mark: it belongs to a connection that is refused."""
QUEUE = 893
TABLE = ("inet", "securepc_web")
