# Defines functions for scripts that run a command in new Linux namespaces. A script first sources this file. The
# script then calls `own_root SCRIPT ARGS...`, and after that `in_namespaces NAME SCRIPT ARGS...`.
#
# own_root makes / a private mount, which requires a mount point. In a chroot, / is not a mount point. In a chroot,
# own_root therefore restarts the script in a namespace that has a second mount of / as its root. If mounts are shared
# with other namespaces, own_root makes no second mount, because the mount would also be visible outside the
# namespace.
is_bare_chroot() { ! unshare --mount true && unshare --mount --propagation unchanged true; } 2>/dev/null

own_root() { # arguments: SCRIPT ARGS...
  is_bare_chroot && ! grep -q ' shared:' /proc/self/mountinfo || return 0
  exec unshare --mount --propagation unchanged sh -c '
    mount --rbind / /mnt && exec chroot /mnt env -C "$PWD" bash "$@"' sh "$@"
}

# Runs `SCRIPT --inside ARGS...` in new namespaces for at most LIMIT seconds, and exits with the status of SCRIPT. Sets
# DIR to the path of a temporary folder.
in_namespaces() { # arguments: NAME SCRIPT ARGS...
  local name=$1 script=$2 status=0
  shift 2
  export DIR
  # the path is short, because the path of a socket may have at most 107 characters
  DIR=$(mktemp -d "/tmp/wl-$name.XXXXXX")
  chmod 755 "$DIR"
  trap 'rm -rf --one-file-system "$DIR"' EXIT
  trap 'exit 143' TERM INT HUP
  timeout --foreground -k 5 "$LIMIT" unshare --pid --fork --kill-child --mount --mount-proc --uts --net \
    --propagation private bash "$script" --inside "$@" || status=$?
  # a shell that is the first process of a namespace ignores SIGTERM, so SIGKILL must end it after LIMIT seconds
  if [ "$status" = 137 ]; then echo "$name: ended after $LIMIT s" >&2; status=124; fi
  exit "$status"
}
