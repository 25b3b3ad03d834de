#!/bin/sh
# Secure PC, Storage Shutter. Run by udev for whatever is connected, also while no agent runs: closes storage, lets
# everything else through. Written by the agent when the shutter is switched on, removed by it when it is off.
#   guard.sh interface NAME | card BUS NAME | disc NAME | block NAME PORT
# CLOSED, RUN and BLOCKDEV are set by the agent in the line below.
#SETTINGS
set -u
PATH=/usr/sbin:/usr/bin:/sbin:/bin
usb=/sys/bus/usb/devices

closes() { case " $CLOSED " in *" $1 "*) return 0 ;; esac; return 1; }

# Whether this PC runs from something below the device folder $1.
system() {
    at=$(readlink -f "$1") || return 1
    while read -r _ _ number _ place _; do
        case $place in
        / | /usr | /boot | /boot/efi | /var | /home | /opt | /srv) ;;
        *) continue ;;
        esac
        for base in $(bases "$number"); do
            case $base/ in "$at"/*) return 0 ;; esac
        done
    done </proc/self/mountinfo
    for number in /sys/fs/btrfs/*/devices/*/dev; do
        [ -e "$number" ] || continue
        read -r number <"$number"
        for base in $(bases "$number"); do
            case $base/ in "$at"/*) return 0 ;; esac
        done
    done
    return 1
}

bases() {
    found=
    for slave in "/sys/dev/block/$1/slaves"/*; do
        [ -e "$slave/dev" ] || continue
        found=1
        read -r below <"$slave/dev"
        bases "$below"
    done
    [ -n "$found" ] || readlink -f "/sys/dev/block/$1"
}

# What the interface in folder $1 is: usb, phone, ask (only the agent can tell), or nothing.
kind() {
    read -r class <"$1/bInterfaceClass" || return
    read -r sub <"$1/bInterfaceSubClass" || return
    read -r protocol <"$1/bInterfaceProtocol" || return
    case $class/$sub/$protocol in
    08/*) echo usb ;;
    06/* | ff/42/*) echo phone ;;
    ff/fe/02)
        read -r vendor <"$1/../idVendor"
        [ "$vendor" = 05ac ] && echo phone
        ;;
    ff/*)
        label=
        [ -e "$1/interface" ] && read -r label <"$1/interface"
        case $label in *[Mm][Tt][Pp]*) echo phone && return ;; esac
        case $(modprobe -R "$(cat "$1/modalias")" 2>/dev/null) in
        *usb_storage* | *uas* | *ums_*) echo usb && return ;;
        esac
        [ "$sub" = ff ] && [ "$protocol" = 00 ] && closes phone && echo ask
        ;;
    esac
}

case $1 in
interface)
    # Drivers that need several interfaces find all of them allowed before any is offered to a driver.
    device=${2%%:*}
    let=
    for path in "$usb/$device":*; do
        [ -e "$path/authorized" ] || continue
        is=$(kind "$path")
        if [ "$is" = ask ]; then
            continue
        elif [ -n "$is" ] && closes "$is"; then
            name=${path##*/}
            [ -e "$RUN/open/$name" ] || system "$path" || echo 0 >"$path/authorized"
        else
            read -r before <"$path/authorized"
            [ "$before" = 1 ] || { echo 1 >"$path/authorized" && let="$let ${path##*/}"; }
        fi
    done
    for name in $let; do echo "$name" >/sys/bus/usb/drivers_probe; done
    ;;
card)
    path=/sys/bus/$2/devices/$3
    if closes sd && ! system "$path"; then
        [ -e "$RUN/open/$3" ] || { [ -e "$path/driver" ] && echo "$3" >"$path/driver/unbind"; }
    else
        [ -e "$path/driver" ] || echo "$3" >"/sys/bus/$2/drivers_probe"
    fi
    ;;
disc)
    path=$(readlink -f "/sys/class/block/$2/device") || exit 0
    name=${path##*/}
    if closes optical && ! system "$path" && [ ! -e "$RUN/open/$name" ]; then
        mkdir -p "$RUN/discs"
        cat "$path/vendor" "$path/model" >"$RUN/discs/$name"
        echo 1 >"$path/delete"
    fi
    ;;
block)
    # Read-only before anybody is told of it, unless a grant says otherwise.
    if [ ! -e "$RUN/write/$3" ] && ! system "/sys/class/block/$2"; then "$BLOCKDEV" --setro "/dev/$2"; fi
    ;;
esac
exit 0
