/* bench.c - `warploom bench`: measures the speed of the kernel, of the exact sum and of file
 * output, and prints a table.
 *
 * Kernel: the command measures the coordinate-steps per second of the LSTM while all ranks compute.
 * The rate is measured once with stored activations and once with recomputed activations. The table
 * also shows the kernel's floating-point rate as a share of the measured peak rate of
 * multiply-adds.
 *
 * Exact sum: the command measures the time of the only collective of a meta-step, for vectors of
 * several lengths.
 *
 * Files: the command measures the write rate of a checkpoint and the write rate of a plain write
 * with fsync, in bytes per second. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/build_info.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "measure/measure.h"
#include "unroll/window.h"

static const wl_argument arguments[] = {
    {"coordinates", "N", "number of coordinates that each rank processes; default 16000"},
    {"threads", "N", "number of threads of each rank; default: the number of cores of a node divided by the "
     "number of ranks on this node"},
    {"repeats", "N", "number of repetitions of the measurements of the kernel and of the files; the table shows "
     "the medians; default 7"},
    {"folder", "FOLDER",
     "folder in which the test files are written and then removed; default: the current folder"},
    {"megabytes", "N", "size of each test file in megabytes; default 64; with 0, the write rates are not measured"},
    {"json", "FILE", "also write the figures as JSON to FILE; the name - means standard output"},
    {0}};

/* Lengths of the vectors in the measured exact sums. 5141 is the number of meta-parameters of the
 * LSTM with 2 x 20 units; the other two lengths represent larger models. */
enum { SUMS = 3 };
static const int64_t sum_counts[SUMS] = {5141, 65536, 1048576};

typedef struct request {
  int64_t coordinates, threads, repeats, megabytes;
  const char *folder, *json;
} request;

typedef struct figures {
  int ranks, node_ranks;
  wl_kernel_figures kernel;
  double sum_seconds[SUMS];
  wl_file_figures files; /* write rates of files; files.bytes is 0 if the rates were not measured */
} figures;

static wl_status read_request(const wl_cli *cli, request *q) {
  const wl_arguments *a = &cli->arguments;
  *q = (request){
      .coordinates = 16000, .threads = wl_comm_cores(cli->comm), .repeats = 7, .megabytes = 64};
  q->folder = wl_argument_text(a, "folder", ".");
  q->json = wl_argument_text(a, "json", NULL);
  WL_TRY(wl_argument_int(a, "coordinates", 1, 100000000, &q->coordinates));
  WL_TRY(wl_argument_int(a, "threads", 1, 4096, &q->threads));
  WL_TRY(wl_argument_int(a, "repeats", 1, WL_MEASURE_REPEATS, &q->repeats));
  return wl_argument_int(a, "megabytes", 0, 1000000, &q->megabytes);
}

/* Measures the rates of the kernel, the times of the exact sum and the write rates of files. Only
 * rank 0 measures the write rates, because rank 0 writes all files of a training. Collective. */
static wl_status measure(wl_cli *cli, const request *q, figures *f) {
  wl_comm *comm = cli->comm;
  f->ranks = wl_comm_size(comm);
  f->node_ranks = wl_comm_node_size(comm);
  /* binds the threads to the same cores as in a training */
  (void)wl_comm_bind_threads(comm, (int)q->threads);
  WL_TRY(wl_measure_kernel(comm, q->coordinates, (int)q->threads, (int)q->repeats,
                           WL_WINDOW_UNASKED, &f->kernel));
  for (int i = 0; i < SUMS; i++) WL_TRY(wl_measure_sum(comm, sum_counts[i], &f->sum_seconds[i]));
  wl_status status = WL_OK;
  if (wl_comm_rank(comm) == 0 && q->megabytes > 0)
    status = wl_measure_files(q->folder, q->megabytes * 1000000, (int)q->repeats, &f->files);
  return status;
}

/* ---- For people ----------------------------------------------------------------------------- */

static void print_rate(const char *storage, const wl_kernel_rate *r, FILE *out) {
  fprintf(out, "  %-34s %10.3f %10.3f %10.3f   %5.1f %% of the peak\n", storage, 1e-6 * r->total,
          1e-6 * r->least, 1e-6 * r->most, 100.0 * r->share);
}

static void print_kernel(const wl_kernel_figures *k, FILE *out) {
  fprintf(
      out,
      "\nRates of the forward and backward passes of an LSTM with 2 x 20 units: windows of 20 steps, %lld "
      "coordinates on each rank\n",
      (long long)k->coordinates);
  fprintf(out, "  %-34s %10s %10s %10s\n", "", "all ranks", "slowest", "fastest");
  fprintf(out, "  %-34s %10.1f %10.1f %10.1f\n", "peak multiply-add rate, GFLOP/s",
          1e-9 * k->peak_total, 1e-9 * k->peak_least, 1e-9 * k->peak_most);
  fprintf(out, "  million coordinate-steps per second; a coordinate-step costs %.2f kFLOP, including a second "
               "forward pass\n",
          1e-3 * k->flop);
  if (k->activations.total > 0) print_rate("  window.storage: activations", &k->activations, out);
  print_rate("  window.storage: recompute", &k->recompute, out);
  print_rate("  recompute, gradients below 1e-38", &k->vanishing, out);
}

static void print_sums(const figures *f, FILE *out) {
  fprintf(out, "\nExact sum over %d rank%s, to which each rank contributes one vector\n", f->ranks,
          f->ranks == 1 ? "" : "s");
  fprintf(out, "  %12s %14s %14s\n", "numbers", "microseconds", "MB/s");
  for (int i = 0; i < SUMS; i++)
    fprintf(out, "  %12lld %14.1f %14.0f\n", (long long)sum_counts[i], 1e6 * f->sum_seconds[i],
            8e-6 * (double)sum_counts[i] / f->sum_seconds[i]);
}

static void print_files(const wl_file_figures *f, const char *folder, FILE *out) {
  if (f->bytes == 0) return;
  fprintf(out, "\nWrite rates of files of %.0f MB in %s, in MB/s\n", 1e-6 * (double)f->bytes, folder);
  fprintf(out, "  %-34s %10.0f\n", "plain write and fsync", 1e-6 * f->plain);
  fprintf(out, "  %-34s %10.0f   (%.0f %%)\n", "checkpoint, verified and synced",
          1e-6 * f->checkpoint, 100.0 * f->ratio);
}

static void print_figures(const request *q, const figures *f, FILE *out) {
  fprintf(out, "warploom %s on %s\n%s; %s\n", wl_build_version(), wl_build_processor(),
          wl_build_compiler(), wl_comm_library());
  fprintf(out, "%d rank%s, of which %d run on this node, with %d thread%s on each rank\n", f->ranks, f->ranks == 1 ? "" : "s",
          f->node_ranks, f->kernel.threads, f->kernel.threads == 1 ? "" : "s");
  print_kernel(&f->kernel, out);
  print_sums(f, out);
  print_files(&f->files, q->folder, out);
}

/* ---- For scripts ---------------------------------------------------------------------------- */

static json_t *rate_json(const wl_kernel_rate *r) {
  return json_pack("{s:f, s:f, s:f, s:f}", "rate", r->total, "rate_least", r->least, "rate_most",
                   r->most, "share", r->share);
}

static json_t *kernel_json(const wl_kernel_figures *k) {
  json_t *kernel =
      json_pack("{s:I, s:i, s:f, s:f, s:f, s:f, s:o, s:o}", "coordinates",
                (json_int_t)k->coordinates, "threads", k->threads, "flop", k->flop, "peak",
                k->peak_total, "peak_least", k->peak_least, "peak_most", k->peak_most, "recompute",
                rate_json(&k->recompute), "vanishing", rate_json(&k->vanishing));
  if (k->activations.total > 0)
    json_object_set_new(kernel, "activations", rate_json(&k->activations));
  return kernel;
}

static json_t *figures_json(const figures *f) {
  json_t *sums = json_array();
  for (int i = 0; i < SUMS; i++)
    json_array_append_new(sums, json_pack("{s:I, s:f}", "numbers", (json_int_t)sum_counts[i],
                                          "seconds", f->sum_seconds[i]));
  json_t *root =
      json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:o, s:o}", "version", wl_build_version(),
                "processor", wl_build_processor(), "compiler", wl_build_compiler(), "mpi",
                wl_comm_library(), "ranks", f->ranks, "ranks_on_node", f->node_ranks, "kernel",
                kernel_json(&f->kernel), "exact_sum", sums);
  if (f->files.bytes > 0)
    json_object_set_new(root, "files",
                        json_pack("{s:I, s:f, s:f, s:f, s:f}", "bytes", (json_int_t)f->files.bytes,
                                  "plain", f->files.plain, "checkpoint", f->files.checkpoint,
                                  "verify", f->files.verify, "ratio", f->files.ratio));
  return root;
}

/* ---- The command ---------------------------------------------------------------------------- */

static wl_status show(const request *q, const figures *f) {
  print_figures(q, f, wl_json_text_stream(q->json));
  return q->json ? wl_json_write(figures_json(f), q->json) : WL_OK;
}

static wl_status run_bench(wl_cli *cli, int argc, char **argv) {
  (void)argc;
  (void)argv;
  request q;
  figures f = {0};
  WL_TRY(wl_comm_agree(cli->comm, read_request(cli, &q)));
  WL_TRY(wl_comm_agree(cli->comm, measure(cli, &q, &f)));
  return wl_comm_agree(cli->comm, wl_comm_rank(cli->comm) == 0 ? show(&q, &f) : WL_OK);
}

const wl_command wl_command_bench = {
    "bench",
    "",
    "measures the rate of the kernel, the time of the exact sum and the write rate of files",
    0,
    0,
    arguments,
    NULL,
    false,
    run_bench,
    "Measures the main costs of a training on this machine. First, the command runs windows of an LSTM with 2 x "
    "20 units on all ranks at once. The backward pass of these windows recomputes the activations of the LSTM. "
    "Windows with stored activations "
    "are also measured if the activations need at most 256 MiB, which is enough for 16,600 coordinates. The "
    "command prints coordinate-steps per second and the share of the peak. The share of the peak is the "
    "floating-point "
    "rate of the kernel divided by the measured peak rate of multiply-adds on the same cores. Second, the "
    "command measures the exact sum over all ranks, which is the collective at the end of every meta-step. "
    "Third, the command writes a checkpoint into FOLDER. The command compares the write rate of the checkpoint "
    "with the rate of a plain write and fsync of the same bytes. Run this command on idle nodes of a new "
    "cluster before "
    "a training. A low share of the "
    "peak means that ranks are not bound to separate cores. A slow exact sum "
    "means that the network is slow. To "
    "choose a folder for runs, compare the write rates of several folders.",
    "warploom bench\n"
    "mpirun -n 64 warploom bench --threads 1 --folder $SCRATCH --json bench.json\n"};
