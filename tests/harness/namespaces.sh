# For scripts that run a command in namespaces of their own: sourced, then `own_root SCRIPT ARGS...`, then
# `in_namespaces NAME SCRIPT ARGS...`.
#
# In a chroot / is no mount point, and only a mount can be made private. There the script is run anew in a
# namespace in which / is mounted once more. Not where mounts are shared: it would be seen outside.
is_bare_chroot() { ! unshare --mount true && unshare --mount --propagation unchanged true; } 2>/dev/null

own_root() { # SCRIPT ARGS...
  is_bare_chroot && ! grep -q ' shared:' /proc/self/mountinfo || return 0
  exec unshare --mount --propagation unchanged sh -c '
    mount --rbind / /mnt && exec chroot /mnt env -C "$PWD" bash "$@"' sh "$@"
}

# Runs `SCRIPT --inside ARGS...` there, with a folder of its own in DIR, for at most LIMIT seconds, and exits as it does.
in_namespaces() { # NAME SCRIPT ARGS...
  local name=$1 script=$2 status=0
  shift 2
  export DIR
  DIR=$(mktemp -d "/tmp/wl-$name.XXXXXX") # a short path: sockets allow 107 characters
  chmod 755 "$DIR"
  trap 'rm -rf --one-file-system "$DIR"' EXIT
  trap 'exit 143' TERM INT HUP
  timeout --foreground -k 5 "$LIMIT" unshare --pid --fork --kill-child --mount --mount-proc --uts --net \
    --propagation private bash "$script" --inside "$@" || status=$?
  # TERM does not end a shell that is a namespace's first process: past LIMIT it takes the KILL
  if [ "$status" = 137 ]; then echo "$name: ended after $LIMIT s" >&2; status=124; fi
  exit "$status"
}
