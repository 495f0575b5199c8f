/* selftest.c - `warploom selftest`: tests an installation in less than a minute and prints a table of the results. */
#define _GNU_SOURCE /* nftw */
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/build_info.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/selftest_impl.h"
#include "io/h5_library.h"

static const wl_argument arguments[] = {
    {"launch", "COMMAND",
     "command that starts two ranks, such as 'srun --mpi=pmix -n 2'; default: 'mpirun -n 2' of the MPI library "
     "that the program uses, if mpirun is in PATH. The word none skips the checks with two ranks"},
    {"only", "TEXT", "run only the checks whose name contains TEXT; for example, --only kernels runs all checks "
     "of kernels"},
    {"folder", "FOLDER", "folder for temporary files; default: the value of the environment variable TMPDIR, "
                         "or /tmp if TMPDIR is not set"},
    {"keep", NULL, "keep the temporary files; after a failure, the files are always kept"},
    {"json", "FILE", "also write the table as JSON to FILE; the name - means standard output"},
    {0}};

/* ---- The launcher --------------------------------------------------------------------------------- */

/* Returns true if a folder of PATH contains an executable file with this name. */
static bool in_path(const char *name) {
  const char *const path = getenv("PATH");
  char file[PATH_MAX];
  for (const char *folder = path; folder && *folder;) {
    const int length = (int)strcspn(folder, ":");
    snprintf(file, sizeof file, "%.*s/%s", length, folder, name);
    if (access(file, X_OK) == 0) return true;
    folder += length + (folder[length] == ':');
  }
  return false;
}

/* Returns the name of the first launcher in PATH for the MPI library of this program, or NULL if
 * PATH has no launcher. The script jobs/common.sh chooses the launcher in the same way as this
 * function. */
static const char *find_launcher(void) {
  static const char *const open_mpi[] = {"mpirun.openmpi", "mpirun", "mpiexec", NULL};
  static const char *const mpich[] = {"mpiexec.hydra", "mpiexec.mpich", "mpiexec", "mpirun", NULL};
  const bool is_open_mpi = strstr(wl_comm_library(), "Open MPI") != NULL;
  for (const char *const *name = is_open_mpi ? open_mpi : mpich; *name; name++)
    if (in_path(*name)) return *name;
  return NULL;
}

/* Splits the command at its spaces into `words`. The pointers in `words` point into the command,
 * which the function changes. */
static wl_status split(char *command, char *words[WL_SELFTEST_WORDS]) {
  int count = 0;
  char *rest = NULL;
  for (char *word = strtok_r(command, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
    if (count == WL_SELFTEST_WORDS - 1)
      return WL_FAIL(WL_ERR_USAGE, "--launch: the command has more than %d words", count);
    words[count++] = word;
  }
  words[count] = NULL;
  return WL_OK;
}

/* Sets environment variables of the launcher. With these variables, the launcher starts two ranks
 * even if there is only one core or if the user is root in a container. Does not change variables
 * that the user has set. */
static void prepare_launcher(void) {
  static const char *const values[][2] = {
      {"OMPI_MCA_rmaps_base_oversubscribe", "1"},
      {"OMPI_MCA_mpi_yield_when_idle", "1"},
      {"OMPI_MCA_hwloc_base_binding_policy", "none"},
      {"PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe"},
      {"PRTE_MCA_hwloc_default_binding_policy", "none"}};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) setenv(values[i][0], values[i][1], 0);
  if (geteuid() != 0) return;
  setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 0);
  setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 0);
}

static wl_status choose_launcher(wl_selftest *s, const wl_arguments *given,
                                 char command[PATH_MAX]) {
  const char *const wanted = wl_argument_text(given, "launch", NULL);
  prepare_launcher();
  s->no_launcher = "--launch none";
  if (wanted && strcmp(wanted, "none") == 0) return WL_OK;
  if (wanted) {
    snprintf(command, PATH_MAX, "%s", wanted);
    return split(command, s->launcher);
  }
  const char *const found = find_launcher();
  s->no_launcher = "no launcher of the MPI library was found in PATH; use --launch to name a launcher";
  if (!found) return WL_OK;
  snprintf(command, PATH_MAX, "%s -n 2", found);
  return split(command, s->launcher);
}

/* ---- The report ------------------------------------------------------------------------------------- */

static const char *const verdicts[] = {"passed", "FAILED", "SKIPPED"};

static void print_heading(const wl_selftest *s) {
  fprintf(s->out, "warploom %s (%s) on %s\n%s; HDF5 %s; %s\nlauncher:", wl_build_version(),
          wl_build_revision(), wl_build_processor(), wl_comm_library(), wl_h5_version(),
          wl_build_blas());
  for (char *const *word = s->launcher; *word; word++) fprintf(s->out, " %s", *word);
  fprintf(s->out, "%s\n\n  %-40s %-8s %5s\n", s->launcher[0] ? "" : " none", "check", "result",
          "s");
}

void wl_selftest_report(wl_selftest *s, const char *name, wl_selftest_check check,
                        const void *what) {
  if (s->only && !strstr(name, s->only)) return;
  const double start = wl_seconds();
  s->detail[0] = '\0';
  const wl_verdict verdict = check(s, what);
  const double seconds = wl_seconds() - start;
  s->counts[verdict]++;
  fprintf(s->out, "  %-40s %-8s %5.1f  %s\n", name, verdicts[verdict], seconds, s->detail);
  fflush(s->out);
  json_array_append_new(
      s->rows, json_pack("{s:s,s:s,s:f,s:s}", "check", name, "result", verdicts[verdict], "seconds",
                         seconds, "detail", s->detail));
}

static json_t *report_json(const wl_selftest *s) {
  return json_pack("{s:s,s:s,s:s,s:s,s:i,s:i,s:i,s:O}", "version", wl_build_version(), "revision",
                   wl_build_revision(), "processor", wl_build_processor(), "mpi", wl_comm_library(),
                   "passed", s->counts[WL_PASSED], "failed", s->counts[WL_FAILED], "skipped",
                   s->counts[WL_SKIPPED], "checks", s->rows);
}

/* Returns the status of the self-test. The error message names all failed checks. */
static wl_status conclude(const wl_selftest *s) {
  char names[1024] = "";
  size_t i;
  json_t *row;
  if (s->only && json_array_size(s->rows) == 0)
    return WL_FAIL(WL_ERR_USAGE, "--only %s: no name of a check contains this text; run selftest without "
                                 "--only to see the names", s->only);
  if (s->counts[WL_FAILED] == 0) return WL_OK;
  json_array_foreach(s->rows, i, row) {
    const size_t used = strlen(names);
    if (strcmp(json_string_value(json_object_get(row, "result")), verdicts[WL_FAILED]) == 0)
      snprintf(names + used, sizeof names - used, "%s'%s'", used ? ", " : "",
               json_string_value(json_object_get(row, "check")));
  }
  return WL_FAIL(
      WL_ERR_SOFTWARE, "%d of %d checks failed: %s; the configurations, runs and outputs of the checks are in "
                       "%s",
      s->counts[WL_FAILED], s->counts[WL_FAILED] + s->counts[WL_PASSED], names, s->folder);
}

/* ---- The command ------------------------------------------------------------------------------------ */

static int remove_one(const char *path, const struct stat *state, int kind, struct FTW *place) {
  (void)state, (void)kind, (void)place;
  return remove(path);
}

static wl_status make_folder(wl_selftest *s, const wl_arguments *given) {
  const char *const usual = getenv("TMPDIR");
  const char *const folder = wl_argument_text(given, "folder", usual && *usual ? usual : "/tmp");
  snprintf(s->folder, sizeof s->folder, "%.*s/warploom-selftest-XXXXXX", PATH_MAX - 256, folder);
  if (mkdtemp(s->folder)) return WL_OK;
  return WL_FAIL(WL_ERR_CANNOT_CREATE,
                 "the self-test cannot create a folder in %s; use --folder to name a writable folder", folder);
}

static wl_status find_program(wl_selftest *s) {
  const ssize_t length = readlink("/proc/self/exe", s->program, sizeof s->program - 1);
  if (length <= 0) return WL_FAIL(WL_ERR_OS, "cannot read the path of this program from /proc/self/exe");
  s->program[length] = '\0';
  return WL_OK;
}

static wl_status run_selftest(wl_cli *cli, int argc, char **argv) {
  (void)argc, (void)argv;
  const char *const json = wl_argument_text(&cli->arguments, "json", NULL);
  char launcher[PATH_MAX];
  wl_selftest s = {.out = wl_json_text_stream(json),
                   .only = wl_argument_text(&cli->arguments, "only", NULL)};
  WL_TRY(find_program(&s));
  WL_TRY(choose_launcher(&s, &cli->arguments, launcher));
  WL_TRY(make_folder(&s, &cli->arguments));
  s.rows = json_array();
  const double start = wl_seconds();
  print_heading(&s);
  wl_selftest_all(&s);
  fprintf(s.out, "\n%d passed, %d failed, %d skipped in %.0f s\n", s.counts[WL_PASSED],
          s.counts[WL_FAILED], s.counts[WL_SKIPPED], wl_seconds() - start);
  wl_status status = conclude(&s);
  if (status == WL_OK && !wl_argument_given(&cli->arguments, "keep"))
    nftw(s.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  else fprintf(s.out, "files: %s\n", s.folder);
  if (status == WL_OK && json) status = wl_json_write(report_json(&s), json);
  else if (json) (void)wl_json_write(report_json(&s), json);
  json_decref(s.rows);
  return status;
}

const wl_command wl_command_selftest = {
    "selftest",
    "",
    "tests this installation and prints the result of each check",
    0,
    0,
    arguments,
    NULL,
    false,
    run_selftest,
    "Runs this program on small built-in jobs and compares the results. Initial states must have the recorded "
    "digests. A run on 2 threads, a run on 2 ranks and a run that was stopped and resumed must have the digest "
    "of the same run on 1 rank and 1 thread. The kernels are tested separately for each instruction set of the "
    "processor. "
    "Results of the kernels in float32 must agree with float64, and meta-gradients must agree with central "
    "differences. Files must "
    "contain the written data, and a damaged byte must be detected. The self-test takes less than a minute and "
    "needs no other files. Checks with two ranks are skipped if no launcher of the MPI library "
    "is in PATH. If no check failed, the exit code is 0. If a check failed, the exit code is 70, and the error "
    "message names the failed checks.",
    "warploom selftest\n"
    "warploom selftest --launch 'srun --mpi=pmix -n 2' --folder $SCRATCH --json selftest.json\n",
    true};
