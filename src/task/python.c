/* python.c - defines the task family `python`: a Python function (NumPy or PyTorch) computes the
 * loss and the gradient. Only first order is supported.
 *
 *   task: {family: python, module: ./my_model.py, function: make_task, arguments: [width=32]}
 *
 * Interpreters run in separate processes (python_process.h). A new process is started whenever all
 * processes are busy. Every process can answer every request, because a request names the episode
 * and the batch, and all random numbers depend only on the episode and the batch. The task's tape
 * has the layout of theta, but does not compute the loss. If a request fails, the loss is NaN, and
 * wl_task_status returns the status of the first failed request. The page docs/plugins.md describes
 * what the Python function returns. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/plugin_open.h"
#include "task/family.h"
#include "task/python_process.h"

enum { PROCESSES = 256, TEXT = 65536, MESSAGE = 1024 };

/* The operations that a process can perform, and the headers of requests and replies. The file
 * python_bridge.py has the same definitions. */
enum { DESCRIBE, START, LOSS, GRADIENT };
typedef struct request {
  int64_t operation, number; /* `number` is the number of reals that follow the header */
  int64_t seed, space, index, unit;
  int64_t purpose; /* twice the purpose, plus 1 for the held-out split */
  int64_t step;
} request;
typedef struct reply {
  int64_t failed;
  double loss;
  int64_t bytes; /* number of bytes that follow the header; these bytes contain reals or a string */
} reply;

typedef struct python {
  /* these strings are valid only during the creation of the task */
  const char *module, *hash, *function, *interpreter;
  wl_strings arguments;
  double timeout;
  int64_t batches;
  char *settings, *program; /* strings that are needed to start a process */
  pthread_mutex_t lock;     /* a thread must hold this lock to use the members below */
  wl_python_process *idle[PROCESSES];
  int n_idle;
  wl_status failure; /* status of the first failed request for a loss; WL_OK if none failed */
  char message[MESSAGE];
} python;

static const wl_option options[] = {
    {"module", WL_OPT_STRING, NULL, NULL, 0, 0, "1",
     "Path of the Python file. A relative path is resolved from the folder of the configuration "
     "file.", WL_SLOT(python, module),
     WL_KEY_FREE | WL_KEY_PATH | WL_KEY_BESIDE | WL_KEY_FIXED},
    {"module_hash", WL_OPT_STRING, "", NULL, 0, 0, "1",
     "Hash of the module's file. Warploom writes this hash, and then accepts only a file with this "
     "hash.",
     WL_SLOT(python, hash), .flags = WL_KEY_HASH | WL_KEY_FIXED},
    {"function", WL_OPT_STRING, "make_task", NULL, 0, 0, "1",
     "Name of the Python function that must return the task (docs/plugins.md).",
     WL_SLOT(python, function)},
    {"arguments", WL_OPT_STRINGS, "[]", NULL, 0, 0, "1",
     "Keyword arguments of the function, e.g. [width=32, activation=relu].",
     WL_SLOT(python, arguments)},
    {"python", WL_OPT_STRING, "python3", NULL, 0, 0, "1",
     "Python interpreter: a file, or a name on PATH.", WL_SLOT(python, interpreter),
     WL_KEY_FREE | WL_KEY_PATH},
    {"timeout", WL_OPT_REAL, "600", NULL, 1e-3, 1e9, "seconds",
     "Longest time to wait for an answer of the Python process.", WL_SLOT(python, timeout), WL_KEY_FREE},
    {"evaluation_batches", WL_OPT_INT, "1", NULL, 1, 1e6, "1",
     "Number of batches on which an evaluation measures the loss. The batches are the same in "
     "every evaluation.", WL_SLOT(python, batches)},
    {0}};

/* ---- processes ---- */

static wl_status start_process(const python *p, wl_python_process **out) {
  const int64_t size = (int64_t)strlen(p->settings);
  WL_TRY(wl_python_process_start(p->program, p->timeout, out));
  wl_status status = wl_python_process_send(*out, &size, sizeof size);
  if (status == WL_OK) status = wl_python_process_send(*out, p->settings, (size_t)size);
  if (status != WL_OK) wl_python_process_stop(out);
  return status;
}

/* Returns an idle process, or starts a new one. */
static wl_status take_process(python *p, wl_python_process **out) {
  pthread_mutex_lock(&p->lock);
  *out = p->n_idle > 0 ? p->idle[--p->n_idle] : NULL;
  pthread_mutex_unlock(&p->lock);
  return *out ? WL_OK : start_process(p, out);
}

static void give_back(python *p, wl_python_process *process) {
  pthread_mutex_lock(&p->lock);
  if (p->n_idle < PROCESSES) {
    p->idle[p->n_idle++] = process;
    process = NULL;
  }
  pthread_mutex_unlock(&p->lock);
  wl_python_process_stop(&process);
}

/* Reads the error message of Python, which has `bytes` bytes, and makes this message the last
 * error. */
static wl_status read_failure(wl_python_process *process, int64_t bytes) {
  char text[MESSAGE] = "", rest[256];
  const size_t kept = bytes < MESSAGE ? (size_t)bytes : MESSAGE - 1;
  WL_TRY(wl_python_process_receive(process, text, kept));
  for (int64_t left = bytes - (int64_t)kept; left > 0; left -= (int64_t)sizeof rest)
    WL_TRY(wl_python_process_receive(process, rest,
                                     left < (int64_t)sizeof rest ? (size_t)left : sizeof rest));
  return WL_FAIL(WL_ERR_DATA, "Python: %s", text);
}

/* The data of a request, and the memory for the reply. */
typedef struct exchange {
  request request;
  const void *sent;
  size_t sent_bytes;
  void *received;
  size_t room; /* number of bytes that fit in `received` */
  bool exact;  /* true: the reply must have exactly `room` bytes */
  size_t got;
  double loss;
} exchange;

static wl_status converse(wl_python_process *process, exchange *e) {
  reply reply;
  WL_TRY(wl_python_process_send(process, &e->request, sizeof e->request));
  WL_TRY(wl_python_process_send(process, e->sent, e->sent_bytes));
  WL_TRY(wl_python_process_receive(process, &reply, sizeof reply));
  if (reply.failed) return read_failure(process, reply.bytes);
  e->got = (size_t)reply.bytes;
  e->loss = reply.loss;
  if (reply.bytes < 0 || e->got > e->room || (e->exact && e->got != e->room))
    return WL_FAIL(
        WL_ERR_DATA,
        "Python: a reply has %lld bytes, but %zu bytes are expected at most; the number of "
        "parameters must be the same in every call",
        (long long)reply.bytes, e->room);
  return wl_python_process_receive(process, e->received, e->got);
}

/* Sends a request and receives the reply. A process that failed is not used again. */
static wl_status ask(python *p, exchange *e) {
  wl_python_process *process = NULL;
  WL_TRY(take_process(p, &process));
  const wl_status status = converse(process, e);
  if (status == WL_OK) give_back(p, process);
  else wl_python_process_stop(&process);
  return status;
}

/* ---- creation ---- */

/* Writes the settings as lines "key<TAB>value". The unit separator (byte 31) separates the
 * arguments. */
static wl_status write_settings(const wl_map *map, python *p) {
  size_t size = 0;
  FILE *out = open_memstream(&p->settings, &size);
  p->program = strdup(p->interpreter);
  if (!out || !p->program) return WL_FAIL(WL_ERR_OS, "out of memory: cannot start a Python process");
  fprintf(out, "precision\t%s\nmodule\t%s\nfunction\t%s\narguments\t", WL_REAL_NAME, p->module,
          p->function);
  bool lines = strpbrk(p->module, "\n\t") || strpbrk(p->function, "\n\t");
  for (int i = 0; i < p->arguments.count; i++) {
    fprintf(out, "%s%s", i > 0 ? "\x1f" : "", p->arguments.at[i]);
    lines = lines || strpbrk(p->arguments.at[i], "\n\x1f");
  }
  fputc('\n', out);
  if (fclose(out) != 0) return WL_FAIL(WL_ERR_OS, "out of memory: cannot start a Python process");
  return lines ? wl_map_fail(map, "module", "the names of the module and the function, and the "
                                            "arguments, must not contain line breaks")
               : WL_OK;
}

/* Adds one parameter to the tape. `line` has the name of the parameter, the number of its
 * dimensions, and the size of each dimension. */
static void add_parameter(wl_tape *tape, char *line, wl_node *first) {
  char *rest = NULL;
  const char *const name = strtok_r(line, " ", &rest), *const dims = strtok_r(NULL, " ", &rest);
  int64_t shape[WL_MAX_DIMS] = {0};
  const int ndim = dims ? atoi(dims) : 0;
  for (int d = 0; d < ndim && d < WL_MAX_DIMS; d++) {
    const char *const size = strtok_r(NULL, " ", &rest);
    shape[d] = size ? strtoll(size, NULL, 10) : 0;
  }
  const wl_node node = wl_tape_theta(tape, name, ndim, shape);
  if (*first < 0) *first = node;
}

/* Builds a tape with the parameters. A tape must have a loss, and the loss of this tape is never
 * computed. */
static wl_status build_layout(char *description, wl_task *task) {
  char *rest = NULL;
  wl_node first = -1;
  WL_TRY(wl_tape_create(&task->tape));
  for (char *line = strtok_r(description, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
    add_parameter(task->tape, line, &first);
  WL_TRY(wl_tape_finish(task->tape, wl_op_sum(task->tape, first), -1, -1));
  task->n = wl_tape_theta_layout(task->tape)->size;
  return WL_OK;
}

/* Starts a Python process, which loads the module, and asks the process for the names and shapes of
 * the parameters. */
static wl_status describe(const wl_map *map, python *p, wl_task *task) {
  char *text = NULL, why[MESSAGE + 256];
  WL_TRY(WL_NEW(text, TEXT + 1));
  exchange e = {.request = {.operation = DESCRIBE}, .received = text, .room = TEXT};
  wl_status status = ask(p, &e);
  if (status == WL_OK) status = build_layout(text, task);
  wl_free(text);
  if (status == WL_OK) return WL_OK;
  snprintf(why, sizeof why, "%s", wl_last_error());
  return wl_map_fail(map, "module", "%s", why);
}

static wl_status create(const wl_map *map, uint64_t seed, wl_task *task) {
  /* The number of floating-point operations of a call of Python is not known. The estimate is CALL
   * + EACH * (number of parameters). */
  static const double CALL = 1e6, EACH = 10.0;
  (void)seed;
  python *p = NULL;
  if (wl_plugin_is_refused())
    return wl_map_fail(map, "module", "Python modules are not loaded by this program; use "
                                      "`warploom` or a configuration without `family: python`");
  WL_TRY(WL_NEW(p, 1));
  pthread_mutex_init(&p->lock, NULL);
  task->impl = p;
  wl_map_read(map, options, p);
  WL_TRY(write_settings(map, p));
  WL_TRY(describe(map, p, task));
  task->eval_batches = p->batches;
  task->cost = CALL + EACH * (double)task->n;
  return WL_OK;
}

static void destroy(wl_task *task) {
  python *p = task->impl;
  for (int i = 0; i < p->n_idle; i++) wl_python_process_stop(&p->idle[i]);
  pthread_mutex_destroy(&p->lock);
  free(p->settings);
  free(p->program);
  wl_free(p);
}

/* ---- use ---- */

static request request_of(int64_t operation, const wl_episode *episode) {
  return (request){.operation = operation,
                   .seed = (int64_t)episode->seed,
                   .space = episode->space,
                   .index = episode->index,
                   .unit = episode->unit};
}

static wl_status theta0(const wl_task *task, const wl_episode *episode, wl_real *theta) {
  exchange e = {.request = request_of(START, episode),
                .received = theta,
                .room = (size_t)task->n * sizeof *theta,
                .exact = true};
  return ask(task->impl, &e);
}

static void keep_failure(python *p, wl_status status) {
  pthread_mutex_lock(&p->lock);
  if (p->failure == WL_OK) snprintf(p->message, sizeof p->message, "%s", wl_last_error());
  if (p->failure == WL_OK) p->failure = status;
  pthread_mutex_unlock(&p->lock);
}

static wl_status failure(const wl_task *task) {
  python *p = task->impl;
  pthread_mutex_lock(&p->lock);
  const wl_status status = p->failure == WL_OK ? WL_OK : WL_FAIL(p->failure, "%s", p->message);
  pthread_mutex_unlock(&p->lock);
  return status;
}

static double loss(const wl_task *task, const wl_episode *episode, const wl_batch *batch,
                   const wl_real *theta, wl_real *gradient) {
  const size_t bytes = (size_t)task->n * sizeof *theta;
  exchange e = {.request = request_of(gradient ? GRADIENT : LOSS, episode),
                .sent = theta,
                .sent_bytes = bytes,
                .received = gradient,
                .room = gradient ? bytes : 0,
                .exact = true};
  e.request.number = task->n;
  e.request.purpose = 2 * (int64_t)batch->purpose + (batch->split == WL_SPLIT_HELDOUT);
  e.request.step = batch->step;
  const wl_status status = ask(task->impl, &e);
  if (status == WL_OK) return e.loss;
  keep_failure(task->impl, status);
  if (gradient) memset(gradient, 0, bytes);
  return NAN;
}

const wl_task_family wl_task_python = {
    .name = "python",
    .summary =
        "a Python function (NumPy or PyTorch) computes the loss and the gradient; this is slow and "
        "supports only first order",
    .options = options,
    .create = create,
    .destroy = destroy,
    .theta0 = theta0,
    .loss = loss,
    .status = failure,
};
