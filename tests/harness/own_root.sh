# For scripts that make mount namespaces: sourced, then `own_root SCRIPT ARGS...`.
#
# In a chroot / is no mount point, and only a mount can be made private. There the script is run anew in a
# namespace in which / is mounted once more. Not where mounts are shared: it would be seen outside.
is_bare_chroot() { ! unshare --mount true && unshare --mount --propagation unchanged true; } 2>/dev/null

own_root() { # SCRIPT ARGS...
  is_bare_chroot && ! grep -q ' shared:' /proc/self/mountinfo || return 0
  exec unshare --mount --propagation unchanged sh -c '
    mount --rbind / /mnt && exec chroot /mnt env -C "$PWD" bash "$@"' sh "$@"
}
