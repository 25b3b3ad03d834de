#!/bin/sh
# Secure PC, Storage Shutter: closes one port at a time of the boot-time clock, whatever became of the agent.
#   closer.sh SECONDS-SINCE-BOOT PORT   usb,NAME,NUMBER | card,BUS,NAME | scsi,ADDRESS
set -u
PATH=/usr/sbin:/usr/bin:/sbin:/bin
until=$1 kind=${2%%,*} rest=${2#*,}
run=/run/securepc/shutter

while read -r up _ </proc/uptime && [ "${up%%.*}" -lt "$until" ]; do
    left=$((until - ${up%%.*}))
    [ "$left" -gt 5 ] && left=5
    sleep "$left"
done

case $kind in
usb) name=${rest%%,*} path=/sys/bus/usb/devices/$name ;;
card) bus=${rest%%,*} name=${rest#*,} path=/sys/bus/$bus/devices/$name ;;
scsi) name=$rest path=/sys/bus/scsi/devices/$rest ;;
*) exit 2 ;;
esac
rm -f "$run/open/$name" "$run/write/$name"
[ -e "$path" ] || exit 0
if [ "$kind" = usb ]; then
    read -r number <"$path/../devnum"
    [ "$number" = "${rest#*,}" ] || exit 0 # another connection
fi
at=$(readlink -f "$path")
sync
while read -r _ _ number _ place _; do
    case $(readlink -f "/sys/dev/block/$number")/ in
    "$at"/*) umount "$(printf '%b' "$place")" || umount -l "$(printf '%b' "$place")" ;;
    esac
done </proc/self/mountinfo
case $kind in
usb) echo 0 >"$path/authorized" ;;
card) [ -e "$path/driver" ] && echo "$name" >"$path/driver/unbind" ;;
scsi) echo 1 >"$path/delete" ;;
esac
exit 0
