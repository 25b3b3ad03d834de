#!/bin/sh
# Secure PC, Ghost Drive: closes it where the agent has ended without closing it and does not come back.
#   left_open.sh           as the agent ends (ExecStopPost=): begins the same beside the service, and returns
#   left_open.sh SECONDS   gives an agent so long to come back and close it in good order, then closes it by force
set -u
PATH=/usr/sbin:/usr/bin:/sbin:/bin
name=securepc-ghost
folder=/media/ghost

there() {
    for one in /sys/block/dm-*/dm/name; do
        [ -e "$one" ] && read -r found <"$one" && [ "$found" = "$name" ] && return 0
    done
    return 1
}

guarded() { systemctl -q is-active securepc-agent.service; }

there || exit 0
if [ $# = 0 ]; then
    exec systemd-run --quiet --collect --no-block --unit="$name-left-open" -- /bin/sh "$0" 30
fi
left=$1
while [ "$left" -gt 0 ] && ! guarded; do
    there || exit 0
    sleep 1
    left=$((left - 1))
done
guarded && exit 0

timeout 5 sync -f "$folder"
for signal in TERM KILL; do
    umount "$folder" && break
    for pid in $(find /proc/[0-9]*/fd /proc/[0-9]*/cwd \( -lname "$folder" -o -lname "$folder/*" \) 2>/dev/null | cut -d / -f 3 | sort -u); do
        kill -s "$signal" "$pid"
    done
    sleep 1
done
umount "$folder" || umount -l "$folder"
dmsetup remove "$name" && rmdir "$folder" && exit 0
# Something unseen holds it: reads and writes fail from now on, and the kernel forgets the key.
dmsetup wipe_table --force --noflush --nolockfs "$name"
dmsetup remove --deferred "$name"
rmdir "$folder"
