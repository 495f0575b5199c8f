/* plugin.c - `warploom plugin build|info|new`: builds and describes plug-ins. A plug-in adds a task
 * family or an update rule without a new build of Warploom. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/plugin_open.h"
#include "cli/commands.h"
#include "cli/plugin_build.h"
#include "cli/plugin_new.h"
#include "rule/rule.h"
#include "task/task.h"

static const wl_argument arguments[] = {
    {"output", "PLUGIN",
     "for build: the shared object to write; default: a file in the current folder with the name of the first "
     "source, but with the ending .so"},
    {"verbose", NULL, "for build: print the commands that compile and link the plug-in"},
    {0}};

static const wl_plugin_kind *const kinds[] = {&wl_task_plugins, &wl_rule_plugins};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* Writes a list of precisions to `text`, for example "float32, float64". The list contains the
 * precisions for which the plug-in exports a task family (or a rule, as `kind` specifies). */
static void join_precisions(const wl_plugin_export *exports, int count, const wl_plugin_kind *kind,
                            char *text, size_t size) {
  size_t used = 0;
  text[0] = '\0';
  for (int i = 0; i < count && used < size; i++)
    if (exports[i].kind == kind)
      used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "",
                               exports[i].precision);
}

/* Returns true if the plug-in was compiled with the same struct definitions as this program. */
static bool fits(const wl_plugin_export *e) {
  return e->plugin->abi == WL_PLUGIN_ABI && e->plugin->layout == e->kind->layout;
}

static wl_status print_export(const wl_plugin_export *exports, int count, const wl_plugin_export *e,
                              const char *path) {
  char precisions[40];
  join_precisions(exports, count, e->kind, precisions, sizeof precisions);
  printf("  %-10s %s\n  %-10s %u%s\n", "precision", precisions, "interface",
         (unsigned)e->plugin->abi, fits(e) ? "" : ", which differs from the interface of this program: build "
                                                  "the plug-in again");
  if (!fits(e)) return WL_OK;
  wl_variant variant = {0};
  WL_TRY(wl_plugin_check(e->kind, e->plugin, path, &variant));
  printf("  %-10s %s\n\n", e->kind->name, variant.name);
  const wl_section sections[] = {
      {.name = e->kind->name, .doc = variant.summary, .options = variant.options}, {0}};
  wl_sections_help(sections, false, stdout);
  return WL_OK;
}

/* Opens the plug-in `path` and fills `exports` with the tables that the plug-in exports. `shown` is
 * the name of the file in error messages. Returns an error if the plug-in exports no table. */
static wl_status list(const char *path, const char *shown,
                      wl_plugin_export exports[WL_PLUGIN_EXPORTS], int *count) {
  WL_TRY(wl_plugin_list(&(wl_plugin_search){path, shown, kinds, KINDS}, exports, count));
  if (*count > 0) return WL_OK;
  return WL_FAIL(WL_ERR_DATA,
                 "%s: the file exports neither a task family nor a rule; end its source with "
                 "WL_PLUGIN_TASK(..) or WL_PLUGIN_RULE(..)",
                 shown);
}

static wl_status print_info(const char *path) {
  wl_plugin_export exports[WL_PLUGIN_EXPORTS];
  char hash[WL_FILE_HASH_SIZE];
  int count = 0;
  WL_TRY(list(path, path, exports, &count));
  WL_TRY(wl_file_hash(path, hash));
  printf("%s\n  %-10s %s\n", path, "hash", hash);
  for (int i = 0; i < count; i++)
    if (i == 0 || exports[i].kind != exports[i - 1].kind)
      WL_TRY(print_export(exports, count, &exports[i], path));
  return WL_OK;
}

/* Sets `output` to the default output of a build: the source my_task.c becomes my_task.so in the
 * current folder. */
static wl_status name_output(char **operands, int count, char *output, size_t size) {
  for (int i = 0; i < count; i++) {
    if (operands[i][0] == '-') continue;
    const char *const slash = strrchr(operands[i], '/'), *const leaf =
                                                             slash ? slash + 1 : operands[i];
    const char *const dot = strrchr(leaf, '.');
    const int stem = dot && dot > leaf ? (int)(dot - leaf) : (int)strlen(leaf);
    if (snprintf(output, size, "%.*s.so", stem, leaf) < (int)size) return WL_OK;
  }
  return WL_FAIL(WL_ERR_USAGE, "the command names no source; the form is 'warploom plugin build my_task.c'");
}

/* The tables that the plug-in exports after its build. Each table defines a task family or a rule,
 * which is a variant of a section of the configuration. */
typedef struct product {
  wl_plugin_export exports[WL_PLUGIN_EXPORTS];
  wl_variant variants[WL_PLUGIN_EXPORTS];
  int count;
} product;

/* Compiles the sources. If this program accepts the new plug-in, renames the file of the plug-in to
 * `output`. */
static wl_status make(const wl_plugin_sources *sources, const char *output, product *p) {
  WL_TRY(wl_plugin_build(sources));
  WL_TRY(list(sources->output, output, p->exports, &p->count));
  for (int i = 0; i < p->count; i++)
    WL_TRY(wl_plugin_check(p->exports[i].kind, p->exports[i].plugin, output, &p->variants[i]));
  if (rename(sources->output, output) == 0) return WL_OK;
  return WL_FAIL(WL_ERR_CANNOT_CREATE, "%s: %s", output, strerror(errno));
}

static wl_status build(const wl_arguments *a, char **operands, int count) {
  char name[4096], unfinished[4160], precisions[40];
  product p = {.count = 0};
  WL_TRY(name_output(operands, count, name, sizeof name));
  const char *const output = wl_argument_text(a, "output", name);
  snprintf(unfinished, sizeof unfinished, "%.4000s.%ld", output, (long)getpid());
  const wl_plugin_sources sources = {.argument = operands,
                                     .count = count,
                                     .output = unfinished,
                                     .verbose = wl_argument_given(a, "verbose")};
  const wl_status status = make(&sources, output, &p);
  if (status != WL_OK) {
    unlink(unfinished);
    return status;
  }
  for (int i = 0; i < p.count; i++) {
    const wl_plugin_kind *const kind = p.exports[i].kind;
    if (i > 0 && kind == p.exports[i - 1].kind) continue;
    join_precisions(p.exports, p.count, kind, precisions, sizeof precisions);
    wl_log_info("%s: %s '%s' for %s", output, kind->summary, p.variants[i].name, precisions);
  }
  return WL_OK;
}

static wl_status run_plugin(wl_cli *cli, int argc, char **argv) {
  const wl_arguments *const a = &cli->arguments;
  const char *const action = argv[0];
  if (strcmp(action, "build") == 0) return build(a, argv + 1, argc - 1);
  if (strcmp(action, "info") == 0 && argc == 2) return print_info(argv[1]);
  if (strcmp(action, "new") == 0 && argc == 3) return wl_plugin_new(argv[1], argv[2]);
  return WL_FAIL(
      WL_ERR_USAGE,
      "use one of 'warploom plugin build SOURCE.. [-- COMPILER FLAGS]', 'warploom plugin info FILE', 'warploom "
      "plugin new task NAME' and 'warploom plugin new rule NAME'");
}

const wl_command wl_command_plugin = {
    "plugin",
    "build SOURCE.. | info FILE | new task|rule NAME",
    "builds and describes plug-ins with task families and update rules",
    2,
    600,
    arguments,
    NULL,
    false,
    run_plugin,
    "A plug-in is a shared object with a task family or an update rule in C. A configuration names a plug-in "
    "as `task: {plugin: ./my_task.so, ..}` or `rule: {plugin: ./my_rule.so, ..}`. `build` compiles sources for "
    "float32 and float64 into one plug-in. The compiler is the one that built Warploom, or the value of the "
    "environment variable CC. Flags for the compiler follow the word --. `info` prints the name, the keys, the "
    "precisions and the hash of a plug-in. `new` writes NAME.c and NAME.yaml, which are examples that you can "
    "change. docs/plugins.md explains the interface.",
    "warploom plugin new task my_task\n"
    "warploom plugin build my_task.c\n"
    "warploom plugin build my_task.c helper.c --output tasks.so -- -I/opt/include -lhelper\n"
    "warploom plugin info my_task.so\n"
    "warploom check my_task.yaml --set rule.through_inputs=true\n"
    "mpirun -n 2 warploom train my_task.yaml\n",
    true};
