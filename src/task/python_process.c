/* python_process.c - starts a Python interpreter, and sends and receives bytes with a time
 * limit. */
#define _GNU_SOURCE
#include "task/python_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

struct wl_python_process {
  pid_t id; /* process id, or 0 if the process has ended */
  int socket;
  double timeout;
};

extern char **environ;

/* A Python program that reads the source of python_bridge.py from the socket and runs this source.
 * The source is too long for a command line. */
static const char bootstrap[] =
    "import socket, struct\n"
    "connection = socket.socket(fileno=3)\n"
    "size = struct.unpack('=q', connection.recv(8, socket.MSG_WAITALL))[0]\n"
    "source = b''\n"
    "while len(source) < size: source += connection.recv(size - len(source))\n"
    "exec(compile(source, 'warploom-bridge', 'exec'))\n";

/* ---- environment: numerical libraries use one thread, so that results are the same ---- */

static const char *const fixed[] = {"OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1",
                                    "MKL_NUM_THREADS=1", "PYTHONHASHSEED=0"};
enum { FIXED = sizeof fixed / sizeof *fixed };

static bool is_fixed(const char *entry) {
  for (int i = 0; i < FIXED; i++)
    if (strncmp(entry, fixed[i], strcspn(fixed[i], "=") + 1) == 0) return true;
  return false;
}

/* Makes the list of environment variables for the interpreter. The caller frees the array, but must
 * not free the strings in the array. */
static wl_status make_environment(char ***out) {
  size_t count = 0, used = 0;
  while (environ[count]) count++;
  WL_TRY(WL_NEW(*out, count + FIXED + 1));
  for (size_t i = 0; i < count; i++)
    if (!is_fixed(environ[i])) (*out)[used++] = environ[i];
  for (int i = 0; i < FIXED; i++) (*out)[used++] = (char *)fixed[i];
  return WL_OK;
}

/* ---- starting and stopping a process ---- */

static int spawn(const char *interpreter, int socket, char **environment, pid_t *id) {
  char *const argv[] = {(char *)interpreter, (char *)"-c", (char *)bootstrap, NULL};
  posix_spawn_file_actions_t actions;
  if (posix_spawn_file_actions_init(&actions) != 0) return ENOMEM;
  int error = posix_spawn_file_actions_adddup2(&actions, socket, 3);
  if (error == 0)
    error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (error == 0) error = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  if (error == 0) error = posix_spawnp(id, interpreter, &actions, NULL, argv, environment);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

static wl_status launch(const char *interpreter, wl_python_process *p) {
  int ends[2];
  char **environment = NULL;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return WL_FAIL(WL_ERR_OS, "cannot create a socket for %s: %s", interpreter, strerror(errno));
  p->socket = ends[0];
  const wl_status status = make_environment(&environment);
  const int error = status == WL_OK ? spawn(interpreter, ends[1], environment, &p->id) : 0;
  close(ends[1]);
  wl_free(environment);
  if (error) {
    p->id = 0;
    return WL_FAIL(WL_ERR_NO_INPUT, "%s cannot be run: %s; set the key `python` to another "
                                    "interpreter",
                   interpreter, strerror(error));
  }
  return status;
}

wl_status wl_python_process_start(const char *interpreter, double timeout,
                                  wl_python_process **out) {
  wl_python_process *p = NULL;
  *out = NULL;
  WL_TRY(WL_NEW(p, 1));
  *p = (wl_python_process){.socket = -1, .timeout = timeout};
  const int64_t size = (int64_t)wl_python_bridge_size;
  wl_status status = launch(interpreter, p);
  if (status == WL_OK) status = wl_python_process_send(p, &size, sizeof size);
  if (status == WL_OK) status = wl_python_process_send(p, wl_python_bridge, wl_python_bridge_size);
  if (status != WL_OK) wl_python_process_stop(&p);
  *out = p;
  return status;
}

/* Waits up to `seconds` for the end of the process. Returns false if the process still runs. */
static bool await_end(wl_python_process *p, double seconds, int *code) {
  const double end = wl_seconds() + seconds;
  const struct timespec pause = {.tv_nsec = 2000000};
  while (p->id > 0) {
    const pid_t got = waitpid(p->id, code, WNOHANG);
    if (got == p->id || (got < 0 && errno != EINTR)) p->id = 0;
    else if (wl_seconds() > end) return false;
    else nanosleep(&pause, NULL);
  }
  return true;
}

void wl_python_process_stop(wl_python_process **process) {
  static const double PATIENCE = 0.5;
  wl_python_process *p = *process;
  int code;
  if (!p) return;
  if (p->socket >= 0) close(p->socket);
  if (!await_end(p, PATIENCE, &code)) {
    kill(p->id, SIGKILL);
    await_end(p, PATIENCE, &code);
  }
  wl_free(p);
  *process = NULL;
}

/* ---- transfers ---- */

static wl_status say_ended(wl_python_process *p) {
  int code = 0;
  if (!await_end(p, 1.0, &code))
    return WL_FAIL(WL_ERR_OS, "the Python process closed the socket; see the messages of Python "
                              "above");
  if (WIFSIGNALED(code))
    return WL_FAIL(WL_ERR_OS, "the Python process was ended by signal %d (%s)%s", WTERMSIG(code),
                   strsignal(WTERMSIG(code)),
                   WTERMSIG(code) == SIGKILL ? "; check whether the memory was used up" : "");
  return WL_FAIL(WL_ERR_OS, "the Python process ended with exit code %d; see the messages of "
                            "Python above",
                 WEXITSTATUS(code));
}

static wl_status wait_ready(wl_python_process *p, short event) {
  struct pollfd poller = {.fd = p->socket, .events = event};
  const double end = wl_seconds() + p->timeout;
  for (;;) {
    const double left = end - wl_seconds();
    const int ready =
        poll(&poller, 1, left > 0 ? (int)(1000.0 * (left < 1e6 ? left : 1e6)) + 1 : 0);
    if (ready > 0) return WL_OK;
    if (ready == 0)
      return WL_FAIL(
          WL_ERR_OS,
          "the Python process did not answer within %g s; increase the key `timeout` if the "
          "process needs more time",
          p->timeout);
    if (errno != EINTR)
      return WL_FAIL(WL_ERR_OS, "cannot wait for the Python process: %s", strerror(errno));
  }
}

wl_status wl_python_process_send(wl_python_process *p, const void *data, size_t bytes) {
  for (const char *at = data; bytes > 0;) {
    const ssize_t sent = send(p->socket, at, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      at += sent;
      bytes -= (size_t)sent;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      WL_TRY(wait_ready(p, POLLOUT));
    } else if (errno != EINTR) {
      return say_ended(p);
    }
  }
  return WL_OK;
}

wl_status wl_python_process_receive(wl_python_process *p, void *data, size_t bytes) {
  for (char *at = data; bytes > 0;) {
    const ssize_t got = recv(p->socket, at, bytes, MSG_DONTWAIT);
    if (got > 0) {
      at += got;
      bytes -= (size_t)got;
    } else if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      WL_TRY(wait_ready(p, POLLIN));
    } else if (got == 0 || errno != EINTR) {
      return say_ended(p);
    }
  }
  return WL_OK;
}
