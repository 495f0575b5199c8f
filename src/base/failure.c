/* failure.c - stores a status with its message. */
#include "base/failure.h"

#include <stdio.h>

void wl_failure_keep(wl_failure *failure, wl_status status) {
  if (status == WL_OK || failure->code != WL_OK) return;
  failure->code = status;
  snprintf(failure->message, sizeof failure->message, "%s", wl_last_error());
}

wl_status wl_failure_raise(wl_failure *failure) {
  const wl_status code = failure->code;
  failure->code = WL_OK;
  /* WL_FAIL is called with WL_ERR_OS for every stored code. With WL_ERR_SOFTWARE, WL_FAIL would
   * append a source line, and the stored message may already contain a source line. */
  if (code != WL_OK) WL_FAIL(WL_ERR_OS, "%s", failure->message);
  return code;
}
