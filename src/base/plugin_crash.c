/* plugin_crash.c - prints which function of a plug-in ran last if the process crashes.
 *
 * A crash inside a plug-in ends the process. Before the end, the signal handler of this file prints
 * one line. The line names the plug-in's file and the function that the thread called last. The
 * handler then restores the previous signal action and returns. The instruction crashes again, so
 * the exit code is the same as without the handler. */
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/plugin_open.h"

_Thread_local wl_plugin_call wl_plugin_last_call;

enum { LINE_SIZE = 4608 };
static const struct crash {
  int signal;
  const char *name;
} crashes[] = {{SIGSEGV, "segmentation fault"},
               {SIGBUS, "bus error"},
               {SIGFPE, "division by zero"},
               {SIGILL, "illegal instruction"}};
enum { CRASHES = sizeof crashes / sizeof *crashes };
static struct sigaction previous[CRASHES];

/* Appends the string to the message, and omits the characters for which there is no room. This
 * function may run in a signal handler, and therefore calls no library function. */
static size_t append(char line[LINE_SIZE], size_t used, const char *text) {
  while (*text && used < LINE_SIZE) line[used++] = *text++;
  return used;
}

static void print_crash(const char *what, const wl_open_plugin *plugin, const char *function) {
  char line[LINE_SIZE];
  const char *const texts[] = {"warploom: error: ",
                               what,
                               "; the last function of a plug-in that this thread called is `",
                               function,
                               "` of ",
                               plugin->path,
                               "\n"};
  size_t used = 0;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) used = append(line, used, texts[i]);
  if (write(STDERR_FILENO, line, used) < 0) return;
}

static void handle(int number, siginfo_t *info, void *context) {
  (void)context;
  int i = 0;
  while (crashes[i].signal != number) i++;
  const wl_plugin_call *const call = &wl_plugin_last_call;
  const wl_open_plugin *const plugin = call->table ? wl_plugin_of_table(call->table) : NULL;
  if (plugin) print_crash(crashes[i].name, plugin, call->function);
  sigaction(number, &previous[i], NULL);
  if (info->si_code <= 0)
    raise(number); /* another process sent the signal, so no instruction would crash again */
}

void wl_plugin_watch_crashes(void) {
  static bool watching; /* the caller holds a lock when this variable is read or written */
  struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  if (watching) return;
  watching = true;
  sigemptyset(&action.sa_mask);
  for (int i = 0; i < CRASHES; i++) sigaction(crashes[i].signal, &action, &previous[i]);
}
