#!/bin/sh
# The Internet, in a network namespace of the machine: every name leads to one server, `smtp.midori.example` to another.
# Both answer HTTP, HTTPS (with the certificate in /root/world) and SMTP. Run again after a restart.
set -eu
ip netns add world
ip link add pc0 type veth peer name world0 netns world
ip addr add 10.9.0.1/24 dev pc0
ip link set pc0 up
for address in 10.9.0.80 10.9.0.25; do ip -n world addr add $address/24 dev world0; done
ip -n world link set lo up
ip -n world link set world0 up
in_world="-p NetworkNamespacePath=/run/netns/world"
systemd-run --quiet --collect --unit=world-names $in_world dnsmasq --keep-in-foreground --conf-file=/dev/null \
    --no-resolv --no-hosts --user=root --address=/#/10.9.0.80 --address=/smtp.midori.example/10.9.0.25
systemd-run --quiet --collect --unit=world-servers $in_world python3 /root/world/servers.py
printf '[main]\ndns=none\n' >/etc/NetworkManager/conf.d/world.conf # or a lease that comes late takes the line away again
systemctl kill -s HUP NetworkManager
echo "nameserver 10.9.0.80" >/etc/resolv.conf
