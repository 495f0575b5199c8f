/* plugin_build.c - compiles and links the sources of a plug-in.
 *
 * Three steps are done for float32 and again for float64: `cc -c` compiles each source, `cc -r`
 * combines the object files, and `objcopy` makes all symbols local except the exported symbols.
 * Local symbols are needed because the object files of the two precisions define the same names.
 * `cc -shared` then links the two combined object files into one shared object. */
#include "cli/plugin_build.h"

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/executable_dir.h"

#ifndef WL_PLUGIN_COMPILER
#define WL_PLUGIN_COMPILER "cc"
#define WL_PLUGIN_FLAGS "-std=gnu17 -O3"
#endif

extern char **environ;

enum { WORDS = 512, SOURCES = 64 };

/* The words of a command line that runs the compiler or objcopy. `full` is true if a word was
 * omitted because there are too many words. */
typedef struct command {
  char *word[WORDS + 1];
  int count;
  bool full;
} command;

static void add(command *c, const char *word) {
  if (c->count < WORDS) c->word[c->count++] = (char *)word;
  else c->full = true;
}

static wl_status run(command *c, bool verbose) {
  pid_t child;
  int code = 0;
  if (c->full) return WL_FAIL(WL_ERR_USAGE, "the compiler's command line would have more than %d words; use "
                                            "fewer sources and flags", WORDS);
  c->word[c->count] = NULL;
  for (int i = 0; verbose && i < c->count; i++)
    fprintf(stderr, "%s%c", c->word[i], i + 1 < c->count ? ' ' : '\n');
  const int failed = posix_spawnp(&child, c->word[0], NULL, NULL, c->word, environ);
  if (failed)
    return WL_FAIL(WL_ERR_OS,
                   "the program %s cannot be executed: %s; set the environment variable CC to choose another "
                   "compiler",
                   c->word[0], strerror(failed));
  while (waitpid(child, &code, 0) < 0)
    if (errno != EINTR)
      return WL_FAIL(WL_ERR_OS, "waiting for the end of the program %s failed: %s", c->word[0], strerror(errno));
  if (WIFEXITED(code) && WEXITSTATUS(code) == 0) return WL_OK;
  return WL_FAIL(WL_ERR_DATA, "the program %s failed; read its messages above", c->word[0]);
}

/* The paths and the input of one build. */
typedef struct build {
  const wl_plugin_sources *from;
  char folder[PATH_MAX];          /* temporary folder for the object files */
  /* two -I options: for warploom/task.h, and for the headers that warploom/task.h includes */
  char include[2][PATH_MAX + 64];
  /* copy of WL_PLUGIN_FLAGS that strtok_r splits into words */
  char flags[sizeof WL_PLUGIN_FLAGS];
  char object[2][PATH_MAX + 64];        /* path of the combined object file of each precision */
  /* paths of the object files: one for each precision and each source */
  char part[2][SOURCES][PATH_MAX + 64];
} build;

static const char *const precisions[] = {"float32", "float64"};

static const char *compiler(void) {
  const char *const cc = getenv("CC");
  return cc && *cc ? cc : WL_PLUGIN_COMPILER;
}

/* Sets b->include to the folders of the headers for plug-ins. The folders of the headers are in the
 * installation or, if the program is in a build folder, in the source tree. */
static wl_status find_headers(build *b) {
  static const char *const places[][2] = {{"../include", "../include/warploom/plugin"},
                                          {"../../include", "../../include/warploom/plugin"},
                                          {"../include", "../src"}};
  char self[PATH_MAX - 64], probe[PATH_MAX + 64];
  WL_TRY(wl_executable_dir(self, sizeof self));
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    snprintf(probe, sizeof probe, "%s/%s/task/family.h", self, places[i][1]);
    if (access(probe, R_OK) != 0) continue;
    for (int k = 0; k < 2; k++)
      snprintf(b->include[k], sizeof b->include[k], "-I%s/%s", self, places[i][k]);
    return WL_OK;
  }
  return WL_FAIL(
      WL_ERR_NO_INPUT,
      "the headers for plug-ins (include/warploom/plugin) are not installed with the program in %s; install "
      "them, or build in the source tree",
      self);
}

static bool is_flag(const char *argument) { return argument[0] == '-'; }
static bool links(const char *flag) {
  return strncmp(flag, "-l", 2) == 0 || strncmp(flag, "-L", 2) == 0 ||
         strncmp(flag, "-Wl,", 4) == 0;
}

static void add_flags(command *c, char *flags) {
  for (char *rest = NULL, *word = strtok_r(flags, " ", &rest); word;
       word = strtok_r(NULL, " ", &rest))
    add(c, word);
}

static wl_status compile(build *b, int precision, const char *source, const char *object) {
  command c = {.count = 0};
  add(&c, compiler());
  strcpy(b->flags, WL_PLUGIN_FLAGS);
  add_flags(&c, b->flags);
  add(&c, "-fPIC");
  add(&c, "-fvisibility=hidden");
  add(&c, "-Wall");
  add(&c, "-Werror=implicit-function-declaration");
  if (precision == 1) add(&c, "-DWL_DOUBLE");
  for (int k = 0; k < 2; k++) add(&c, b->include[k]);
  for (int i = 0; i < b->from->count; i++)
    if (is_flag(b->from->argument[i]) && !links(b->from->argument[i]))
      add(&c, b->from->argument[i]);
  add(&c, "-c");
  add(&c, source);
  add(&c, "-o");
  add(&c, object);
  return run(&c, b->from->verbose);
}

/* Combines the object files of one precision into one object file. All symbols become local, except
 * the two names that Warploom looks up. */
static wl_status combine(build *b, int precision, int parts) {
  command c = {.count = 0}, localise = {.count = 0};
  add(&c, compiler());
  add(&c, "-r");
  add(&c, "-nostdlib");
  for (int i = 0; i < parts; i++) add(&c, b->part[precision][i]);
  add(&c, "-o");
  add(&c, b->object[precision]);
  WL_TRY(run(&c, b->from->verbose));
  char task[64], rule[64];
  snprintf(task, sizeof task, "--keep-global-symbol=warploom_task_%s", precisions[precision]);
  snprintf(rule, sizeof rule, "--keep-global-symbol=warploom_rule_%s", precisions[precision]);
  add(&localise, "objcopy");
  add(&localise, task);
  add(&localise, rule);
  add(&localise, b->object[precision]);
  return run(&localise, b->from->verbose);
}

static wl_status compile_all(build *b, int precision) {
  int parts = 0;
  for (int i = 0; i < b->from->count; i++) {
    const char *const source = b->from->argument[i];
    if (is_flag(source)) continue;
    if (access(source, R_OK) != 0)
      return WL_FAIL(WL_ERR_NO_INPUT, "%s: %s", source, strerror(errno));
    if (parts == SOURCES) return WL_FAIL(WL_ERR_USAGE, "the command names more than %d sources; combine some "
                                                       "sources into one file", SOURCES);
    snprintf(b->part[precision][parts], sizeof b->part[precision][parts], "%.4000s/%d-%d.o",
             b->folder, precision, parts);
    WL_TRY(compile(b, precision, source, b->part[precision][parts]));
    parts++;
  }
  if (parts == 0) return WL_FAIL(WL_ERR_USAGE, "the command names no source; the form is 'warploom plugin "
                                               "build my_task.c'");
  return combine(b, precision, parts);
}

static wl_status link_all(build *b) {
  command c = {.count = 0};
  add(&c, compiler());
  add(&c, "-shared");
  for (int k = 0; k < 2; k++) add(&c, b->object[k]);
  for (int i = 0; i < b->from->count; i++)
    if (is_flag(b->from->argument[i]) && links(b->from->argument[i])) add(&c, b->from->argument[i]);
  add(&c, "-lm");
  add(&c, "-o");
  add(&c, b->from->output);
  return run(&c, b->from->verbose);
}

static void remove_temporaries(build *b) {
  for (int k = 0; k < 2; k++) {
    unlink(b->object[k]);
    for (int i = 0; i < SOURCES && b->part[k][i][0]; i++) unlink(b->part[k][i]);
  }
  rmdir(b->folder);
}

wl_status wl_plugin_build(const wl_plugin_sources *sources) {
  build *b = NULL;
  WL_TRY(WL_NEW(b, 1));
  b->from = sources;
  const char *const temporary = getenv("TMPDIR");
  snprintf(b->folder, sizeof b->folder, "%.3000s/warploom-XXXXXX",
           temporary && *temporary ? temporary : "/tmp");
  wl_status status = find_headers(b);
  if (status == WL_OK && !mkdtemp(b->folder))
    status = WL_FAIL(WL_ERR_CANNOT_CREATE, "the temporary folder %s cannot be created: %s; set TMPDIR to "
                                           "choose another folder", b->folder,
                     strerror(errno));
  else if (status == WL_OK) {
    for (int k = 0; k < 2; k++)
      snprintf(b->object[k], sizeof b->object[k], "%.4000s/%s.o", b->folder, precisions[k]);
    for (int k = 0; status == WL_OK && k < 2; k++) status = compile_all(b, k);
    if (status == WL_OK) status = link_all(b);
    remove_temporaries(b);
  }
  wl_free(b);
  return status;
}
