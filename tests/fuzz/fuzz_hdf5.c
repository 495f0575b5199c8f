/* fuzz_hdf5.c - changes HDF5 files and reads them with every reader. A reader may return an error, but it must not
 * crash, hang or use much memory.
 *
 *   fuzz_hdf5 [--runs N] [--first N] [--seconds S] [--megabytes M] FILE...
 *
 * The case with number i changes one of the files, and the change depends only on i. A case either changes single
 * bytes, or uses HDF5 to change the structure of the file: shapes and types of attributes, the storage of datasets,
 * or links. If the original file has a footer, the program writes a new footer for the changed bytes. Otherwise the
 * hash in the footer would be wrong, and every reader would only report a damaged file. A child process runs several
 * hundred cases. If the child process crashes or is killed, the program reports the number I of the case and stores
 * the changed file as case-I.h5. Another child process then continues with the next case.
 *
 * If WL_LIBFUZZER is defined, this source defines only the entry point of libFuzzer, for clang -fsanitize=fuzzer. */
#define _GNU_SOURCE
#include <hdf5.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/log.h"
#include "cli/info_print.h"
#include "io/arrays.h"
#include "io/describe.h"
#include "base/footer.h"
#include "io/part.h"
#include "run/trained.h"
#include "train/schema.h"
#include "warploom/optimizer.h"

#define CASE "case.h5"
enum { LARGEST = 1 << 26 };
#define FOOTER_START "\nwarploom footer\n"

/* ---- readers ---- */

static void read_described(void) {
  json_t *description = NULL;
  (void)wl_describe(CASE, true, &description);
  FILE *const nowhere = fopen("/dev/null", "w");
  if (description && nowhere) wl_info_print(description, nowhere);
  if (nowhere) fclose(nowhere);
  json_decref(description);
}

static void read_optimizer(void) {
  wl_trained *trained = NULL;
  wl_optimizer *optimizer = NULL;
  if (wl_trained_read(CASE, NULL, 0, &trained) == WL_OK) wl_trained_destroy(&trained);
  if (wl_optimizer_load(CASE, &optimizer) == WL_OK) wl_optimizer_destroy(&optimizer);
}

/* Reads the file as the only part of a trajectory, as a resumed run does. */
static void read_part(void) {
  wl_parts parts;
  unlink("run/trajectory/part-00000001.h5");
  if (link(CASE, "run/trajectory/part-00000001.h5") != 0) return;
  if (wl_parts_scan("run", &parts) != WL_OK) return;
  for (int i = 0; i < parts.count; i++) {
    wl_table rows = {0};
    (void)wl_part_load(&parts, i, &rows);
    wl_table_clear(&rows);
  }
  wl_parts_clear(&parts);
}

static void read_packed(void) {
  wl_field fields[] = {{.name = "image", .type = WL_UINT8, .ndim = 4},
                       {.name = "alphabet_of_character", .type = WL_INT64, .ndim = 1},
                       {.name = "background", .type = WL_UINT8, .ndim = 1}};
  if (wl_arrays_read(CASE, fields, 3) != WL_OK) return;
  for (int i = 0; i < 3; i++) wl_free(fields[i].data);
}

static void read_all(void) {
  read_described();
  read_optimizer();
  read_part();
  read_packed();
}

static void prepare(void) {
  wl_log_setup(1, true);
  (void)wl_schema();
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  mkdir("run", 0777);
  mkdir("run/trajectory", 0777);
}

static void write_case(const uint8_t *data, size_t bytes, bool footer) {
  FILE *const file = fopen(CASE, "wb");
  char text[WL_FOOTER_BYTES + 1];
  if (!file) abort();
  fwrite(data, 1, bytes, file);
  wl_footer_make((const char *)data, bytes, text);
  if (footer) fwrite(text, 1, WL_FOOTER_BYTES, file);
  fclose(file);
}

/* The entry point of libFuzzer. Reads the bytes twice: without a footer and with a valid footer. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  static bool prepared;
  if (!prepared) prepare();
  prepared = true;
  for (int footer = 0; footer < 2; footer++) {
    write_case(data, bytes, footer);
    read_all();
  }
  return 0;
}

#ifndef WL_LIBFUZZER

/* ---- changes ---- */

static uint64_t state;

static uint64_t draw(uint64_t below) { /* splitmix64 */
  uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return (z ^ (z >> 31)) % below;
}

static void change_byte(uint8_t *data, size_t bytes) {
  static const uint64_t odd[] = {0, 1, 0x7f, 0xff, 0x8000, 0xffff, 0x7fffffff, UINT64_MAX};
  const size_t at = draw(bytes), width = (size_t)1 << draw(4);
  const uint64_t value = odd[draw(8)];
  if (draw(2)) data[at] ^= (uint8_t)(1u << draw(8));
  else if (draw(2)) data[at] = (uint8_t)draw(256);
  else if (at + width <= bytes) memcpy(data + at, &value, width);
}

static size_t change_bytes(uint8_t *data, size_t bytes) {
  const uint64_t changes = 1 + draw(4);
  for (uint64_t i = 0; i < changes; i++) change_byte(data, bytes);
  if (draw(8) == 0) {
    const size_t from = draw(bytes), to = draw(bytes), most = bytes - (from > to ? from : to),
                 length = draw(256) < most ? draw(256) % (most + 1) : most;
    memmove(data + to, data + from, length);
  }
  return draw(16) == 0 ? 1 + draw(bytes) : bytes;
}

typedef struct choice {
  char dataset[256], group[256];
  uint64_t datasets, groups;
} choice;

static herr_t choose(hid_t file, const char *name, const H5O_info_t *info, void *context) {
  choice *const c = context;
  (void)file;
  if (info->type == H5O_TYPE_DATASET && draw(++c->datasets) == 0)
    snprintf(c->dataset, sizeof c->dataset, "%s", name);
  if (info->type == H5O_TYPE_GROUP && draw(++c->groups) == 0)
    snprintf(c->group, sizeof c->group, "%s", name);
  return 0;
}

static hid_t odd_type(void) {
  const hid_t types[] = {H5T_STD_I8LE, H5T_STD_U64BE, H5T_IEEE_F32LE, H5T_IEEE_F64BE,
                         H5T_STD_U8LE, H5T_STD_I64LE, H5T_IEEE_F64LE, H5T_STD_REF_OBJ};
  const uint64_t which = draw(11);
  if (which < 8) return H5Tcopy(types[which]);
  if (which == 8) return H5Tvlen_create(H5T_STD_U8LE);
  const hid_t text = H5Tcopy(H5T_C_S1);
  H5Tset_size(text, which == 9 ? H5T_VARIABLE : 1 + draw(64));
  return text;
}

static hid_t odd_space(bool large) {
  static const hsize_t lengths[] = {0, 1, 2, 3, 7, 64, 1000, UINT64_C(1) << 33, UINT64_C(1) << 61};
  hsize_t size[6];
  const int ndim = (int)draw(6);
  for (int d = 0; d < ndim; d++) size[d] = lengths[draw(d == 0 ? (large ? 9 : 7) : 5)];
  if (draw(12) == 0) return H5Screate(H5S_NULL);
  return ndim == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(ndim, size, NULL);
}

static void change_attribute(hid_t object) {
  char name[64];
  const hid_t by_index =
      H5Aopen_by_idx(object, ".", H5_INDEX_NAME, H5_ITER_INC, draw(12), H5P_DEFAULT, H5P_DEFAULT);
  if (by_index < 0 || H5Aget_name(by_index, sizeof name, name) <= 0) return;
  H5Aclose(by_index);
  H5Adelete(object, name);
  if (draw(5) == 0) return;
  const hid_t type = odd_type(), space = draw(3) ? odd_space(false) : H5Screate(H5S_SCALAR);
  const hid_t made = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  static const char bytes[1 << 16] = "zzz";
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  if (made >= 0 && H5Tget_class(type) != H5T_VLEN && H5Tis_variable_str(type) <= 0 && count > 0 &&
      (uint64_t)count * H5Tget_size(type) <= sizeof bytes)
    H5Awrite(made, type, bytes);
  if (made >= 0) H5Aclose(made);
  H5Sclose(space);
  H5Tclose(type);
}

/* Replaces a dataset by a new dataset with a random type, shape and storage layout. */
static void change_dataset(hid_t file, const char *name) {
  const hid_t type = odd_type(), space = odd_space(true), creation = H5Pcreate(H5P_DATASET_CREATE);
  const int ndim = H5Sget_simple_extent_ndims(space);
  const hsize_t chunk[6] = {1 + draw(100), 1, 2, 3, 1, 1};
  H5Ldelete(file, name, H5P_DEFAULT);
  switch (draw(5)) {
    case 0: H5Pset_external(creation, "/dev/zero", 0, H5F_UNLIMITED); break;
    case 1: H5Pset_virtual(creation, space, draw(2) ? "case.h5" : ".", "/phi", space); break;
    case 2: H5Pset_layout(creation, H5D_COMPACT); break;
    case 3:
      if (ndim > 0) H5Pset_chunk(creation, ndim, chunk);
      if (draw(2)) H5Pset_deflate(creation, 6);
      if (draw(4) == 0) H5Pset_scaleoffset(creation, H5Z_SO_INT, 4);
      break;
    default: break;
  }
  const hid_t made = H5Dcreate2(file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  if (made >= 0) H5Dclose(made);
  H5Pclose(creation);
  H5Sclose(space);
  H5Tclose(type);
}

static void change_values(hid_t file, const char *name) {
  static double values[1 << 14];
  const hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(dataset);
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  for (int i = 0; i < 1 << 14; i++) values[i] = draw(50) ? (double)draw(7) : 1.0 / 0.0;
  if (count > 0 && count <= 1 << 14)
    H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
  H5Sclose(space);
  H5Dclose(dataset);
}

static void change_links(hid_t file, const choice *c) {
  char name[300];
  snprintf(name, sizeof name, "%s/%s", c->group, draw(2) ? "again" : "zz");
  switch (draw(5)) {
    case 0: H5Lcreate_hard(file, "/", file, name, H5P_DEFAULT, H5P_DEFAULT); break;
    case 1: H5Lcreate_hard(file, c->dataset, file, name, H5P_DEFAULT, H5P_DEFAULT); break;
    case 2: H5Lcreate_soft(draw(2) ? "/" : c->dataset, file, name, H5P_DEFAULT, H5P_DEFAULT); break;
    case 3: H5Lcreate_external(CASE, "/", file, name, H5P_DEFAULT, H5P_DEFAULT); break;
    default: H5Ldelete(file, draw(2) ? c->dataset : c->group, H5P_DEFAULT); break;
  }
}

/* Changes the file by functions of HDF5. These functions also update the internal structures and checksums of the
 * file. */
static void change_structure(void) {
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
  const hid_t file = H5Fopen(CASE, H5F_ACC_RDWR, access);
  H5Pclose(access);
  if (file < 0) return;
  const uint64_t changes = 1 + draw(2);
  for (uint64_t i = 0; i < changes; i++) {
    choice c = {.group = "/"};
    H5Ovisit(file, H5_INDEX_NAME, H5_ITER_NATIVE, choose, &c);
    const uint64_t which = draw(10);
    if (which < 3) change_attribute(file);
    else if (which < 5 && c.datasets > 0) {
      const hid_t dataset = H5Dopen2(file, c.dataset, H5P_DEFAULT);
      change_attribute(dataset);
      H5Dclose(dataset);
    } else if (which < 7 && c.datasets > 0) change_dataset(file, c.dataset);
    else if (which < 9 && c.datasets > 0) change_values(file, c.dataset);
    else change_links(file, &c);
  }
  H5Fclose(file);
}

/* ---- cases ---- */

typedef struct sample {
  uint8_t *data;
  size_t bytes; /* number of bytes before the footer */
  bool footer;
} sample;

static off_t file_bytes(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 ? info.st_size : 0;
}

static sample read_sample(const char *path) {
  sample s = {0};
  FILE *const file = fopen(path, "rb");
  struct stat info;
  if (!file || fstat(fileno(file), &info) != 0 || !(s.data = malloc((size_t)info.st_size + 1))) {
    fprintf(stderr, "fuzz_hdf5: cannot read %s\n", path);
    exit(66);
  }
  s.bytes = fread(s.data, 1, (size_t)info.st_size, file);
  fclose(file);
  const uint8_t *const end = s.bytes >= WL_FOOTER_BYTES ? s.data + s.bytes - WL_FOOTER_BYTES : NULL;
  s.footer = end && memcmp(end, FOOTER_START, sizeof FOOTER_START - 1) == 0;
  if (s.footer) s.bytes -= WL_FOOTER_BYTES;
  return s;
}

static void make_case(uint64_t number, const sample *samples, int count) {
  state = number * UINT64_C(0x2545f4914f6cdd1d);
  const sample *const s = &samples[draw((uint64_t)count)];
  uint8_t *data = malloc(s->bytes + 1);
  memcpy(data, s->data, s->bytes);
  size_t bytes = s->bytes;
  if (draw(2)) bytes = change_bytes(data, bytes);
  else {
    write_case(data, bytes, false);
    change_structure();
    if (file_bytes(CASE) <= LARGEST) { /* the changed file may have any size */
      const sample changed = read_sample(CASE);
      free(data);
      data = changed.data;
      bytes = changed.bytes;
    }
  }
  write_case(data, bytes, s->footer);
  free(data);
}

/* The parent process and the child process share this memory. The memory contains the number of the case that the
 * child process is running. */
typedef struct progress {
  uint64_t next;
  double longest;
  uint64_t longest_case;
  long most_kib;
} progress;

static double processor_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Sets a limit of `seconds` of CPU time. Also limits the wall time to twenty times as long, because other processes
 * may occupy the processor. */
static void set_limit(unsigned seconds) {
  const struct itimerval limit = {.it_value.tv_sec = seconds};
  setitimer(ITIMER_PROF, &limit, NULL);
  alarm(20 * seconds);
}

/* Resets the peak memory of the process, because changing the file may have required much memory. */
static void reset_memory(void) {
  FILE *const file = fopen("/proc/self/clear_refs", "w");
  if (!file) return;
  fputs("5", file);
  fclose(file);
}

static long most_memory(void) {
  char line[256];
  long kib = 0;
  FILE *const file = fopen("/proc/self/status", "r");
  while (file && fgets(line, sizeof line, file))
    if (sscanf(line, "VmHWM: %ld", &kib) == 1) break;
  if (file) fclose(file);
  return kib;
}

static void run_batch(progress *p, uint64_t end, unsigned seconds, const sample *samples,
                      int count) {
  prepare();
  for (; p->next < end; p->next++) {
    make_case(p->next, samples, count);
    reset_memory();
    const double start = processor_seconds();
    set_limit(seconds);
    read_all();
    set_limit(0);
    const double took = processor_seconds() - start;
    if (took > p->longest) p->longest = took, p->longest_case = p->next;
    const long kib = most_memory();
    if (kib > p->most_kib) p->most_kib = kib;
  }
  _exit(0);
}

static long option(int *argc, char **argv, const char *name, long fallback) {
  for (int i = 1; i + 1 < *argc; i++) {
    if (strcmp(argv[i], name) != 0) continue;
    fallback = atol(argv[i + 1]);
    memmove(argv + i, argv + i + 2, (size_t)(*argc - i - 1) * sizeof *argv);
    *argc -= 2;
    break;
  }
  return fallback;
}

int main(int argc, char **argv) {
  enum { BATCH = 300 };
  const uint64_t first = (uint64_t)option(&argc, argv, "--first", 0),
                 end = first + (uint64_t)option(&argc, argv, "--runs", 1000);
  const unsigned seconds = (unsigned)option(&argc, argv, "--seconds", 5);
  const long megabytes = option(&argc, argv, "--megabytes", 1024);
  sample *const samples = calloc((size_t)argc, sizeof *samples);
  progress *const p =
      mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int died = 0;
  if (argc < 2 || !samples || p == MAP_FAILED) return 64;
  for (int i = 1; i < argc; i++) samples[i - 1] = read_sample(argv[i]);
  for (p->next = first; p->next < end;) {
    const uint64_t stop = p->next + BATCH < end ? p->next + BATCH : end;
    int status = 0;
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) run_batch(p, stop, seconds, samples, argc - 1);
    if (child < 0 || waitpid(child, &status, 0) != child) return 71;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
    char kept[64];
    snprintf(kept, sizeof kept, "case-%llu.h5", (unsigned long long)p->next);
    rename(CASE, kept);
    printf("case %llu: %s %d, its file is %s\n", (unsigned long long)p->next,
           WIFSIGNALED(status) ? "signal" : "exit code",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), kept);
    died++;
    p->next++;
  }
  printf(
      "%llu cases of %d files: %d died; longest %.2f s of the processor (case %llu), most memory %ld MiB\n",
      (unsigned long long)(end - first), argc - 1, died, p->longest,
      (unsigned long long)p->longest_case, p->most_kib / 1024);
  return died > 0 || p->most_kib / 1024 > megabytes;
}

#endif
