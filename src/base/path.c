/* path.c - asks the file system. */
#include "base/path.h"

#include <sys/stat.h>

bool wl_is_directory(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}
