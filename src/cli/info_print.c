/* info_print.c - prints the description of a file or run as text. */
#include <stdbool.h>
#include <string.h>

#include "cli/info_print.h"

static const char *text_of(const json_t *object, const char *key) {
  const char *const text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

static long long number_of(const json_t *object, const char *key) {
  return (long long)json_integer_value(json_object_get(object, key));
}

/* Prints the lines of a string, each indented by four spaces. */
static void print_indented(const char *text, FILE *out) {
  while (*text) {
    const size_t length = strcspn(text, "\n");
    fprintf(out, "    %.*s\n", (int)length, text);
    text += length + (text[length] == '\n');
  }
}

/* Prints the attributes in the order in which the JSON object contains them. Attributes that have
 * several lines, such as the configuration, are printed after all other attributes. */
static void print_attributes(const json_t *attributes, FILE *out) {
  const char *name = NULL;
  json_t *value = NULL;
  json_object_foreach((json_t *)attributes, name, value) {
    if (json_is_integer(value))
      fprintf(out, "  %-16s %lld\n", name, (long long)json_integer_value(value));
    else if (!strchr(json_string_value(value), '\n'))
      fprintf(out, "  %-16s %s\n", name, json_string_value(value));
  }
  json_object_foreach((json_t *)attributes, name, value) {
    if (!json_is_string(value) || !strchr(json_string_value(value), '\n')) continue;
    fprintf(out, "  %s\n", name);
    print_indented(json_string_value(value), out);
  }
}

/* Writes a shape as "(record 300, step 20)". If the dimensions have no names, writes only the lengths, as in "(80,
 * 21)". */
static void print_shape(const json_t *dataset, char *shape, size_t size) {
  const json_t *const lengths = json_object_get(dataset, "shape"), *const names = json_object_get(
                                                                       dataset, "dimensions");
  size_t at = 0;
  shape[0] = '\0';
  for (size_t d = 0; d < json_array_size(lengths) && at < size; d++) {
    const char *const name = json_string_value(json_array_get(names, d));
    const bool named = name && name[0] && strncmp(name, "dim_", 4) != 0;
    at += (size_t)snprintf(shape + at, size - at, "%s%s%s%lld", d > 0 ? ", " : "",
                           named ? name : "", named ? " " : "",
                           (long long)json_integer_value(json_array_get(lengths, d)));
  }
}

static void print_datasets(const json_t *datasets, FILE *out) {
  size_t i = 0;
  json_t *dataset = NULL;
  fprintf(out, "  datasets (%zu)\n", json_array_size(datasets));
  json_array_foreach((json_t *)datasets, i, dataset) {
    char shape[160];
    print_shape(dataset, shape, sizeof shape);
    fprintf(out, "    %-32s %-8s (%s)  %s", text_of(dataset, "name"), text_of(dataset, "type"),
            shape, text_of(dataset, "long_name"));
    if (strcmp(text_of(dataset, "units"), "1") != 0)
      fprintf(out, " [%s]", text_of(dataset, "units"));
    fputc('\n', out);
  }
}

static void print_file(const json_t *d, FILE *out) {
  fprintf(out, "%s: %s, %lld bytes\n", text_of(d, "path"),
          text_of(d, "kind")[0] ? text_of(d, "kind") : "damaged file", number_of(d, "bytes"));
  print_attributes(json_object_get(d, "attributes"), out);
  if (json_object_get(d, "datasets")) print_datasets(json_object_get(d, "datasets"), out);
}

static void print_run(const json_t *d, FILE *out) {
  const json_t *const checkpoints = json_object_get(d, "checkpoints"), *const trajectory =
                                                                           json_object_get(
                                                                               d, "trajectory");
  size_t i = 0;
  json_t *one = NULL;
  fprintf(out, "%s: run directory\n  checkpoints (%zu)\n", text_of(d, "path"),
          json_array_size(checkpoints));
  json_array_foreach((json_t *)checkpoints, i, one) fprintf(
      out, "    %-20s %10lld bytes  %s  step %s  digest %s  %s%s\n", text_of(one, "file"),
      number_of(one, "bytes"), json_is_true(json_object_get(one, "valid")) ? "valid  " : "DAMAGED",
      text_of(one, "meta_steps"), text_of(one, "digest"), text_of(one, "date"),
      strcmp(text_of(one, "file"), text_of(d, "newest")) == 0 ? "  <- resume" : "");
  if (trajectory)
    fprintf(out, "  trajectory.h5        %lld records and %lld lines of metrics in %lld parts\n",
            number_of(trajectory, "records"), number_of(trajectory, "metrics"),
            number_of(trajectory, "parts"));
  if (json_is_true(json_object_get(d, "optimizer")))
    fputs("  optimizer.h5         the trained optimizer without the training state\n", out);
}

void wl_info_print(const json_t *d, FILE *out) {
  size_t i = 0;
  json_t *problem = NULL;
  if (strcmp(text_of(d, "kind"), "run") == 0) print_run(d, out);
  else print_file(d, out);
  json_array_foreach(json_object_get(d, "problems"), i, problem)
      fprintf(out, "  problem: %s\n", json_string_value(problem));
  if (json_is_true(json_object_get(d, "verified")))
    fputs("  verified: all bytes agree with the checksums, and every dataset can be decoded\n", out);
}
