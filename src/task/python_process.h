/* python_process.h - runs a Python interpreter in a separate process and exchanges bytes with it
 * over a socket.
 *
 * The interpreter's standard output is sent to standard error. The interpreter ends when the socket
 * is closed. The socket is also closed when this process ends. Only one thread at a time may use an
 * interpreter. Only files of src/task include this header. */
#ifndef WL_TASK_PYTHON_PROCESS_H
#define WL_TASK_PYTHON_PROCESS_H

#include <stddef.h>

#include "base/status.h"

/* The source that the interpreter runs: the file python_bridge.py. */
extern const unsigned char wl_python_bridge[];
extern const size_t wl_python_bridge_size;

typedef struct wl_python_process wl_python_process;

/* Starts the interpreter and sends the source to it. `interpreter` is the path of a file, or a name
 * that is sought on PATH. Later calls wait at most `timeout` seconds for each transfer. */
wl_status wl_python_process_start(const char *interpreter, double timeout, wl_python_process **out);
/* Closes the socket. Kills the process if the process does not end within half a second. */
void wl_python_process_stop(wl_python_process **process);
/* wl_python_process_send sends `bytes` bytes to the interpreter, and wl_python_process_receive
 * receives `bytes` bytes from the interpreter. The functions return WL_ERR_OS if the process has
 * ended or did not answer in time, and the message names the reason. */
wl_status wl_python_process_send(wl_python_process *process, const void *data, size_t bytes);
wl_status wl_python_process_receive(wl_python_process *process, void *data, size_t bytes);

#endif
