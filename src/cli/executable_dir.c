/* executable_dir.c - reads the path of this program's file from the operating system. */
#include "cli/executable_dir.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

wl_status wl_executable_dir(char *folder, size_t size) {
  const ssize_t length = readlink("/proc/self/exe", folder, size - 1);
  if (length < 0)
    return WL_FAIL(WL_ERR_OS, "cannot read the path of this program from /proc/self/exe: %s", strerror(errno));
  folder[length] = '\0';
  char *const slash = strrchr(folder, '/');
  if (slash) *slash = '\0';
  return WL_OK;
}
