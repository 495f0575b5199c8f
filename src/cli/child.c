/* child.c - starts a program with fork and exec, and waits until the program ends or a time limit
 * passes. */
#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

static bool redirect(const char *path, int flags, int to) {
  const int file = open(path, flags, 0666);
  if (file < 0 || dup2(file, to) < 0) return false;
  if (file != to) close(file);
  return true;
}

/* Executes the program in the new process. The process leads a separate process group. At the time
 * limit, a signal to this group also ends all programs that the process has started. */
static void execute(const wl_child *child) {
  enum { WRITE = O_WRONLY | O_CREAT | O_TRUNC };
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (redirect("/dev/null", O_RDONLY, STDIN_FILENO) &&
      redirect(child->output, WRITE, STDOUT_FILENO) &&
      redirect(child->errors, WRITE, STDERR_FILENO))
    execvp(child->argv[0], child->argv);
  _exit(WL_CHILD_NOT_RUN);
}

/* Waits until the process has ended or the time limit has passed. Returns true if the process has ended. */
static bool wait_for(pid_t pid, double until, int *state) {
  const struct timespec pause = {.tv_nsec = 5000000};
  for (;;) {
    const pid_t ended = waitpid(pid, state, WNOHANG);
    if (ended == pid || (ended < 0 && errno != EINTR)) return true;
    if (wl_seconds() > until) return false;
    nanosleep(&pause, NULL);
  }
}

/* Ends the process group. Sends SIGTERM first, so that a launcher can end its ranks. Sends SIGKILL
 * if the process still runs after 5 seconds. */
static void end(pid_t pid) {
  int state = 0;
  kill(-pid, SIGTERM);
  if (wait_for(pid, wl_seconds() + 5, &state)) return;
  kill(-pid, SIGKILL);
  waitpid(pid, &state, 0);
}

wl_status wl_child_run(const wl_child *child, int *code) {
  int state = 0;
  const pid_t pid = fork();
  if (pid < 0) return WL_FAIL(WL_ERR_OS, "cannot start a process for the program %s: %s", child->argv[0], strerror(errno));
  if (pid == 0) execute(child);
  if (!wait_for(pid, wl_seconds() + child->seconds, &state)) {
    end(pid);
    *code = WL_CHILD_LATE;
    return WL_OK;
  }
  *code = WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
  return WL_OK;
}
