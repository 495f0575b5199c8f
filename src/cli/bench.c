/* bench.c - `warploom bench`: measures this machine and prints a table.
 *
 *   kernel      coordinate-steps per second of the LSTM, on all ranks at once, with activations stored or recomputed; and
 *               their share of the measured peak of multiply-adds
 *   exact sum   seconds of the only collective of a meta-step, for several sizes
 *   files       bytes per second of a checkpoint, and of a plain write with fsync */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/build_info.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "measure/measure.h"
#include "unroll/window.h"

static const wl_argument arguments[] = {
    {"coordinates", "N", "number of coordinates of each rank; default 16000"},
    {"threads", "N", "number of threads of each rank; default: the cores of a node divided by its ranks"},
    {"repeats", "N", "number of measurements of each kind; the table has their median; default 7"},
    {"folder", "FOLDER",
     "folder of the test files, which are removed afterwards; default: the current folder"},
    {"megabytes", "N", "size of the test files; default 64; 0: no files"},
    {"json", "FILE", "also write the figures as JSON; - for standard output"},
    {0}};

/* The sizes of the exact sums: the meta-gradient of the LSTM of 2 x 20 units, and of larger models. */
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
  wl_file_figures files; /* files.bytes is 0 if files were not measured */
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

/* Measures the figures. Rank 0 measures files, because in a training rank 0 writes all files. Collective. */
static wl_status measure(wl_cli *cli, const request *q, figures *f) {
  wl_comm *comm = cli->comm;
  f->ranks = wl_comm_size(comm);
  f->node_ranks = wl_comm_node_size(comm);
  (void)wl_comm_bind_threads(comm, (int)q->threads); /* uses the same binding as a training */
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
      "\nLSTM of 2 x 20 units, windows of 20 steps forward and backward, %lld coordinates a rank\n",
      (long long)k->coordinates);
  fprintf(out, "  %-34s %10s %10s %10s\n", "", "all ranks", "slowest", "fastest");
  fprintf(out, "  %-34s %10.1f %10.1f %10.1f\n", "peak of multiply-adds, GFLOP/s",
          1e-9 * k->peak_total, 1e-9 * k->peak_least, 1e-9 * k->peak_most);
  fprintf(out, "  coordinate-steps, million/s, of %.2f kFLOP (the forward pass twice)\n",
          1e-3 * k->flop);
  if (k->activations.total > 0) print_rate("  window.storage: activations", &k->activations, out);
  print_rate("  window.storage: recompute", &k->recompute, out);
  print_rate("  with gradients below 1e-38", &k->vanishing, out);
}

static void print_sums(const figures *f, FILE *out) {
  fprintf(out, "\nExact sum over %d rank%s, one vector from each\n", f->ranks,
          f->ranks == 1 ? "" : "s");
  fprintf(out, "  %12s %14s %14s\n", "numbers", "microseconds", "MB/s");
  for (int i = 0; i < SUMS; i++)
    fprintf(out, "  %12lld %14.1f %14.0f\n", (long long)sum_counts[i], 1e6 * f->sum_seconds[i],
            8e-6 * (double)sum_counts[i] / f->sum_seconds[i]);
}

static void print_files(const wl_file_figures *f, const char *folder, FILE *out) {
  if (f->bytes == 0) return;
  fprintf(out, "\nFiles of %.0f MB in %s, MB/s\n", 1e-6 * (double)f->bytes, folder);
  fprintf(out, "  %-34s %10.0f\n", "write and fsync", 1e-6 * f->plain);
  fprintf(out, "  %-34s %10.0f   (%.0f %%)\n", "checkpoint, verified and synced",
          1e-6 * f->checkpoint, 100.0 * f->ratio);
}

static void print_figures(const request *q, const figures *f, FILE *out) {
  fprintf(out, "warploom %s on %s\n%s; %s\n", wl_build_version(), wl_build_processor(),
          wl_build_compiler(), wl_comm_library());
  fprintf(out, "%d rank%s, %d on this node, %d thread%s each\n", f->ranks, f->ranks == 1 ? "" : "s",
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
    "measures this machine: kernel, collective and file rates",
    0,
    0,
    arguments,
    NULL,
    false,
    run_bench,
    "Measures the main costs of a training. First, it runs windows of an LSTM with 2 x 20 units on all ranks at "
    "once. The activations are recomputed, and then, if they take at most 256 MiB (16,600 coordinates), stored. "
    "It prints coordinate-steps per second and the share of the multiply-add rate of the same cores. Second, it "
    "measures the exact sum that ends every meta-step. Third, it writes a checkpoint into FOLDER and compares the "
    "rate with a plain write and fsync of the same bytes. Run it on idle nodes of a new cluster before a "
    "training. A low share means that ranks are not bound to separate cores. A slow sum means a slow network. To "
    "choose a folder for runs, compare the write rates of several folders.",
    "warploom bench\n"
    "mpirun -n 64 warploom bench --threads 1 --folder $SCRATCH --json bench.json\n"};
